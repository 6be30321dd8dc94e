"""Scores of simulated studies: what counts, what is repeated with all raters, what cannot be said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from imagen_bench.errors import InputError, RunFolderError
from imagen_bench.human.score import load_results, score_study, write_results
from imagen_bench.human.study import open_study
from imagen_bench.human.study_card import card_fields, study_card

SMALL = {"Colors": 12, "Text": 11, "Zoo": 4}
WriteStudy = Callable[..., Path]


@pytest.fixture
def write_study(monkeypatch: pytest.MonkeyPatch) -> WriteStudy:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "toys"))
    from toy_study import write_study

    return write_study


def overall(results: dict, name: str = "preference", **wanted: str) -> dict:
    rows = [row for row in results[name] if row["category"] == "all"]
    return next(row for row in rows if all(row[key] == value for key, value in wanted.items()))


def test_shares_are_the_means_over_prompts_of_the_answers(tmp_path: Path, write_study: WriteStudy) -> None:
    study = write_study(tmp_path / "s", categories=SMALL, careless=(4,), strengths=(0.8, 0.0))
    results = score_study(study)
    key = pd.read_csv(study / "private" / "key.csv").set_index("item_id")
    answers = pd.read_csv(study / "private" / "answers.csv")
    answers = answers[(answers["question"] == "fidelity") & (key.loc[answers["item_id"], "kind"] == "real").to_numpy()]
    assert results["counts"]["raters_excluded"] == 1
    for everybody in (False, True):
        kept = answers if everybody else answers[answers["rater"] != "r_000004"]
        chosen = [
            0.5 if answer == "tie" else float(key.loc[item, f"model_{answer}"] == "imagen")
            for item, answer in zip(kept["item_id"], kept["answer"], strict=True)
        ]
        prompts = key.loc[kept["item_id"], "prompt_id"].to_numpy()
        expected = pd.Series(chosen).groupby(prompts).mean().mean()
        source = results["all_raters"] if everybody else results
        row = overall(source, question="fidelity")
        assert row["win_rate"] == pytest.approx(expected)
        assert row["n_ratings"] == len(kept) == 27 * (5 if everybody else 4)
    assert [row["category"] for row in results["preference"]][:5] == [
        "all",
        "category average",
        "Colors",
        "Text",
        "Zoo",
    ]
    assert results["quality"]["raters"][4]["excluded"]
    assert "speeder" in results["quality"]["raters"][4]["flags"]


def test_results_are_the_same_each_time_and_load_again(tmp_path: Path, write_study: WriteStudy) -> None:
    study = write_study(tmp_path / "s", categories=SMALL, raters=3)
    first, second = score_study(study), score_study(study)
    assert json.dumps(first) == json.dumps(second)
    with pytest.raises(RunFolderError, match="drawbench score"):
        load_results(study)
    write_results(first, study / "results")
    assert load_results(study) == json.loads(json.dumps(first))
    (study / "results" / "results.json").write_text('{"schema": 99}')
    with pytest.raises(RunFolderError, match="schema 99"):
        load_results(study)


def test_three_arms_have_strengths_in_their_order(tmp_path: Path, write_study: WriteStudy) -> None:
    study = write_study(tmp_path / "s", arms=("a", "b", "c"), strengths=(1.5, 0.7, 0.0), categories=SMALL, raters=4)
    fits = score_study(study)["bradley_terry"]
    assert [fit["question"] for fit in fits] == ["fidelity", "alignment"]
    for fit in fits:
        assert fit["refused"] == ""
        assert fit["theta"][0] > fit["theta"][1] > fit["theta"][2]
        assert fit["theta_low"][0] < fit["theta"][0] < fit["theta_high"][0]
        assert fit["win_rates"][0][1] + fit["win_rates"][1][0] == pytest.approx(1)


def test_an_arm_that_never_loses_is_refused_with_the_reason(tmp_path: Path, write_study: WriteStudy) -> None:
    study = write_study(tmp_path / "s", arms=("best", "b", "c"), strengths=(60, 0, 0), categories={"Zoo": 5}, raters=2)
    file = study / "private" / "answers.csv"
    key = pd.read_csv(study / "private" / "key.csv").set_index("item_id")
    answers = pd.read_csv(file, dtype=str, keep_default_na=False)
    with_best = (key.loc[answers["item_id"], ["model_left", "model_right"]] == "best").any(axis=1).to_numpy()
    answers[~(with_best & (answers["answer"] == "tie").to_numpy())].to_csv(file, index=False)
    fit = score_study(study)["bradley_terry"][0]
    assert "groups that never lost" in fit["refused"]
    assert "(best; b, c)" in fit["refused"] or "(b, c; best)" in fit["refused"]
    assert "theta" not in fit


def test_photorealism_with_and_without_people(tmp_path: Path, write_study: WriteStudy) -> None:
    texts = {f"p{n:03d}": "a woman with a hat" for n in range(10)}
    study = write_study(
        tmp_path / "s", mode="photorealism", arms=("photos", "imagen"), references=("photos",), prompt_texts=texts,
        questions=("realism",), categories={"coco": 30}, controls=0, repeats=0,
    )  # fmt: skip
    results = score_study(study)
    whole, without = results["coco"]
    assert (whole["arm"], whole["measure"], whole["n_prompts"]) == ("imagen", "photorealism rate", 30)
    assert (without["category"], without["n_prompts"]) == ("no people", 20)
    assert whole["mean"] == pytest.approx(100 * overall(results)["share_a"])
    assert whole["mean_low"] < whole["mean"] < whole["mean_high"]


def test_alignment_scores_are_means_of_100_50_0(tmp_path: Path, write_study: WriteStudy) -> None:
    study = write_study(
        tmp_path / "s", mode="alignment", questions=("alignment",), categories={"coco": 20}, controls=0, repeats=0
    )
    results = score_study(study)
    answers = pd.read_csv(study / "private" / "answers.csv").merge(
        pd.read_csv(study / "private" / "key.csv"), on="item_id"
    )
    values = answers["answer"].map({"yes": 100, "somewhat": 50, "no": 0})
    for arm in ("imagen", "other"):
        expected = values[answers["model_left"] == arm].groupby(answers["prompt_id"]).mean().mean()
        assert overall(results, "scores", arm=arm)["mean"] == pytest.approx(expected)
    means = values.groupby([answers["prompt_id"], answers["model_left"]]).mean().unstack()
    test = stats.ttest_rel(means["imagen"], means["other"])
    assert results["differences"][0]["p"] == pytest.approx(test.pvalue)
    assert results["agreement"][0]["scale"] == "ordinal"
    assert {row["measure"] for row in results["coco"]} == {"alignment score"}


def test_likert_means(tmp_path: Path, write_study: WriteStudy) -> None:
    study = write_study(tmp_path / "s", mode="likert5", strengths=(2.0, 0.0), categories=SMALL, raters=3)
    results = score_study(study)
    assert len(results["scores"]) == 2 * 2 * 5
    assert overall(results, "scores", arm="imagen")["mean"] > overall(results, "scores", arm="other")["mean"]
    assert results["coco"] == []


def write_scored_run(path: Path, clip: dict[str, float], protocol: str = "p1") -> Path:
    path.mkdir()
    protocols = {"clip_score": {"id": protocol, "label": "CLIP score", "higher_is_better": True}}
    (path / "run.json").write_text(json.dumps({"schema": 1, "name": path.name, "protocols": protocols}))
    rows = [(prompt, index, 2.0, "clip_score", value + 9 * index) for prompt, value in clip.items() for index in (0, 1)]
    columns = ["prompt_id", "index", "guidance_weight", "metric", "value"]
    pd.DataFrame(rows, columns=columns).to_parquet(path / "samples_scores.parquet")
    return path


def test_metrics_are_compared_on_the_samples_that_were_shown(tmp_path: Path, write_study: WriteStudy) -> None:
    prompts = [f"p{n:03d}" for n in range(27)]
    runs = {"imagen": tmp_path / "one", "other": tmp_path / "two"}
    study = write_study(tmp_path / "s", categories=SMALL, runs={name: str(path) for name, path in runs.items()})
    assert "holds no run.json" in " ".join(score_study(study)["metrics"]["missing"])
    write_scored_run(runs["imagen"], {prompt: 0.3 + 0.001 * n for n, prompt in enumerate(prompts)})
    write_scored_run(runs["other"], dict.fromkeys(prompts, 0.31))
    metrics = score_study(study)["metrics"]
    points = pd.DataFrame(metrics["points"])
    points = points[points["question"] == "alignment"]
    # Sample 0 alone was shown; sample 1 would add 4.5.
    assert points["metric_difference"].tolist() == pytest.approx([-0.01 + 0.001 * n for n in range(27)])
    row = next(row for row in metrics["rows"] if row["question"] == "alignment")
    assert row["tau_b"] == pytest.approx(
        stats.kendalltau(points["metric_difference"], points["net"].round(9)).statistic
    )
    assert (row["metric"], row["n_prompts"], metrics["missing"]) == ("CLIP score", 27, [])


def test_metrics_of_different_protocols_are_not_compared(tmp_path: Path, write_study: WriteStudy) -> None:
    runs = {"imagen": str(tmp_path / "one"), "other": str(tmp_path / "two")}
    study = write_study(tmp_path / "s", categories={"Zoo": 4}, raters=2, runs=runs)
    for place, path in enumerate(runs.values()):
        write_scored_run(Path(path), {"p000": 0.1, "p001": 0.2}, protocol=f"p{place}")
    metrics = score_study(study)["metrics"]
    assert metrics["rows"] == []
    assert "different protocols (p0, p1)" in metrics["missing"][0]


def test_a_rule_that_leaves_nobody(tmp_path: Path, write_study: WriteStudy) -> None:
    study = write_study(
        tmp_path / "s", categories=SMALL, raters=2, careless=(0, 1), exclusion={"min_control_pass": 1.0}
    )
    with pytest.raises(InputError, match="leaves no rater of 2"):
        score_study(study)


def test_study_card_states_what_is_known_and_asks_for_the_rest(tmp_path: Path, write_study: WriteStudy) -> None:
    study = write_study(tmp_path / "s", categories=SMALL, careless=(4,))
    (study / "card.toml").write_text('pay_per_hour = "16 USD"\n')
    results = score_study(study)
    text = study_card(card_fields(open_study(study), results))
    for words in (
        "**Pay per hour**: 16 USD",
        "not stated (write recruitment",
        "Which set wins on fidelity?",
        "of which 1 excluded",
        "fewer than 80% of the answered controls",
        "Krippendorff's alpha (nominal)",
        "Holm's correction",
        "two-way bootstrap: prompts x raters",
    ):
        assert words in text
    (study / "card.toml").write_text("pay = 3\n")
    with pytest.raises(Exception, match=r"card.toml.*pay"):
        card_fields(open_study(study), results)
