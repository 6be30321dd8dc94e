"""An images endpoint against a real server: answers, retries, limits, refusals, and a key that is written nowhere."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from imagen_bench.bench.run import run_benchmark
from imagen_bench.config import ModelSection, RunConfig, apply_overrides, dump_config, validate
from imagen_bench.errors import ConfigError, ImagenBenchError, InputError, ModelError
from imagen_bench.generators import openai_client
from imagen_bench.generators.base import Reports, Salvages, SampleRequest, open_generator

pytest.importorskip("httpx")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "toys"))
    import toy_endpoint

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOY_KEY", toy_endpoint.KEY)
    monkeypatch.setattr(openai_client, "FIRST_WAIT", 0.01)
    with toy_endpoint.serving() as server:
        yield server


def opened(endpoint: Any, **options: Any) -> Any:
    basic = {"base_url": endpoint.base_url, "size": "64x48", "key_variable": "TOY_KEY"}
    return open_generator(ModelSection(name="toy-image-1", generator="openai-images", options=basic | options))


def test_images_come_in_the_order_of_the_prompts(endpoint: Any) -> None:
    from toy_endpoint import KEY, color_of

    endpoint.expected_at_once = 4
    prompts = [f"prompt {number}" for number in range(9)]
    images = opened(endpoint, extra={"quality": "low"}).generate(prompts, range(9), 1.0)
    assert images.shape == (9, 3, 48, 64)
    assert [tuple(image[:, 0, 0].tolist()) for image in images] == [color_of(prompt) for prompt in prompts]
    assert set(endpoint.headers_seen) == {("/v1/images/generations", f"Bearer {KEY}")}
    assert endpoint.most_at_once == 4
    body = next(body for body in endpoint.bodies if body["prompt"] == "prompt 3")
    assert body == {"model": "toy-image-1", "prompt": "prompt 3", "n": 1, "size": "64x48", "quality": "low"}


def test_seeds_and_weights_are_sent_where_there_are_fields_for_them(endpoint: Any) -> None:
    generator = opened(endpoint, seed_field="seed", guidance_field="cfg", response_format="b64_json")
    generator.generate(["a"], [2**40 + 5], 3.5)
    assert endpoint.bodies[0]["seed"] == 5
    assert endpoint.bodies[0]["cfg"] == 3.5
    assert endpoint.bodies[0]["response_format"] == "b64_json"
    assert "modulo 2**32" in generator.describe()["seeds"]
    assert "cannot be drawn again" in opened(endpoint).describe()["seeds"]
    with pytest.raises(InputError, match=r"takes no guidance weight, w = 3\.5"):
        opened(endpoint).generate(["a"], [1], 3.5)
    with pytest.raises(InputError, match=r"takes no guidance weight, w = 2"):
        opened(endpoint).prepare([SampleRequest("a", "a", 0, 1, weight) for weight in (1.0, 2.0)])
    assert len(endpoint.bodies) == 1


def test_failures_that_pass_are_tried_again_and_counted(endpoint: Any) -> None:
    generator = opened(endpoint, price_per_image=0.04)
    assert isinstance(generator, Reports)
    generator.generate(["busy", "broken once", "fine"], [1, 2, 3], 1.0)
    assert (endpoint.tries_of("busy"), endpoint.tries_of("broken once"), endpoint.tries_of("fine")) == (3, 2, 1)
    expected = {"requests": 6, "retries": 3, "images": 3, "refused": 0, "price_USD": pytest.approx(0.12)}
    assert generator.report().usage == expected
    generator.generate(["fine"], [3], 1.0)
    assert generator.report().usage["requests"] == 1


@pytest.mark.parametrize(
    ("prompt", "tries", "message"),
    [
        ("always broken", 3, r"failed 3 times: HTTP 503: down, \*\*\* in the message"),
        ("half json", 3, "the answer is not JSON"),
        ("no image", 3, r"holds no image \(keys: created\)"),
        ("wait for days", 1, "asks to wait for 86400 s"),
        ("no credit", 1, "no credit left"),
        ("wrong key", 1, r"HTTP 401: bad key \*\*\*; check the key"),
        ("huge", 1, r"more than 1 MB; raise options\.max_megabytes"),
        ("text", 1, "is not an image"),
        ("not base64", 1, "not base64"),
        ("other size", 1, "32x32 pixels, 64x48 was asked for"),
        ("foreign address", 1, r"points to 'http://169\.254.*not fetched"),
    ],
)
def test_other_failures_are_one_line_without_the_key(endpoint: Any, prompt: str, tries: int, message: str) -> None:
    from toy_endpoint import KEY

    with pytest.raises(ImagenBenchError, match=message) as caught:
        opened(endpoint, retries=2, max_megabytes=1.0).generate([prompt], [1], 1.0)
    assert endpoint.tries_of(prompt) == tries
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_slow_answer_and_a_closed_port_are_told(endpoint: Any) -> None:
    with pytest.raises(ModelError, match=r"failed 2 times: no answer within 0\.2 s"):
        opened(endpoint, retries=1, timeout=0.2).generate(["slow"], [1], 1.0)
    with pytest.raises(ModelError, match="ConnectError"):
        opened(endpoint, retries=0, base_url="http://127.0.0.1:9/v1").generate(["a"], [1], 1.0)


def test_an_image_behind_an_address_is_fetched_without_the_key(endpoint: Any) -> None:
    from toy_endpoint import color_of

    (image,) = opened(endpoint).generate(["address"], [1], 1.0)
    assert tuple(image[:, 0, 0].tolist()) == color_of("by address")
    assert ("/v1/files/1.png", None) in endpoint.headers_seen


def test_a_rate_limit_spreads_requests(endpoint: Any) -> None:
    before = time.monotonic()
    opened(endpoint, requests_per_minute=600, concurrency=8).generate([f"{n}" for n in range(4)], range(4), 1.0)
    # The first request may reach the server late, the last one never early.
    assert max(endpoint.starts) - before >= 0.27


def test_a_refused_prompt_is_grey_and_remarked_or_stops(endpoint: Any) -> None:
    generator = opened(endpoint, price_per_image=1.0)
    images = generator.generate(["fine", "forbidden"], [1, 2], 1.0)
    assert torch.equal(images[1], torch.full((3, 48, 64), 128, dtype=torch.uint8))
    assert generator.report().remarks == {1: "refused by the service: rejected by the safety system"}
    assert generator.report().usage["price_USD"] == 1.0
    with pytest.raises(ModelError, match="refused 'forbidden': rejected by the safety system"):
        opened(endpoint, refused="error").generate(["fine", "forbidden"], [1, 2], 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key_variable": "NO_SUCH_KEY_HERE"}, "environment variable NO_SUCH_KEY_HERE is not set"),
        ({"key_variable": "sk-abc"}, "never a key"),
        ({"base_url": "https://user:pass@host/v1"}, "an address holds no key"),
        ({"base_url": "ftp://host"}, "no address"),
        ({"size": "big"}, "'big' is no size"),
        ({"extra": {"n": 4}}, "'n' is set by the benchmark"),
        ({"concurency": 2}, "did you mean 'concurrency'"),
    ],
)
def test_wrong_options_are_refused(endpoint: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        opened(endpoint, **options)


def test_a_run_records_cost_and_refusals_and_never_the_key(endpoint: Any, toy: RunConfig, tmp_path: Path) -> None:
    from toy_endpoint import KEY

    prompts = tmp_path / "few.csv"
    prompts.write_text("prompt_id,prompt,category\na,fine,x\nb,forbidden,x\nc,busy,y\nd,good,y\n", encoding="utf-8")
    options = {"base_url": endpoint.base_url, "size": "64x48", "key_variable": "TOY_KEY", "price_per_image": 0.5}
    changes = [f"prompts.set={prompts}", "sweep.guidance_weights=[1.0]", "prompts.samples_per_prompt=1"]
    data = apply_overrides(dump_config(toy), changes)
    data["model"] = {"name": "toy-image-1", "generator": "openai-images", "options": options | {"batch_size": 3}}
    folder = run_benchmark(validate(RunConfig, data, "test"), tmp_path / "run")
    generation = json.loads((tmp_path / "run" / "run.json").read_text())["generation"]
    assert generation["usage"] == {"images": 3, "price_USD": 1.5, "refused": 1, "requests": 6, "retries": 2}
    assert [(row["prompt_id"], row["remark"]) for row in generation["remarks"]] == [
        ("b", "refused by the service: rejected by the safety system")
    ]
    assert any("1 image(s) are blank" in note and "1 refused by the service" in note for note in folder.run["notes"])
    written = [path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert not any(KEY.encode() in content for content in written)


def endpoint_run(endpoint: Any, toy: RunConfig, tmp_path: Path, prompts: str, **options: Any) -> RunConfig:
    (tmp_path / "few.csv").write_text(f"prompt_id,prompt,category\n{prompts}", encoding="utf-8")
    basic = {"base_url": endpoint.base_url, "size": "64x48", "key_variable": "TOY_KEY", "price_per_image": 0.5}
    changes = [f"prompts.set={tmp_path / 'few.csv'}", "sweep.guidance_weights=[1.0]", "prompts.samples_per_prompt=1"]
    data = apply_overrides(dump_config(toy), changes)
    data["model"] = {"name": "toy-image-1", "generator": "openai-images", "options": basic | options}
    return validate(RunConfig, data, "test")


def test_images_that_came_before_a_final_failure_are_kept_and_paid_once(
    endpoint: Any, toy: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import toy_endpoint

    rows = "a,fine,x\nb,forbidden,x\nc,no credit,y\nd,good,y\n"
    config = endpoint_run(endpoint, toy, tmp_path, rows, batch_size=4, concurrency=1)
    with pytest.raises(ModelError, match="no credit left"):
        run_benchmark(config, tmp_path / "run")
    kept = {path.name for path in (tmp_path / "run").glob("images/**/*.png")}
    # The last request may have been sent before anybody knew of the failure; then its image is kept too.
    assert {"a_0.png", "b_0.png"} <= kept <= {"a_0.png", "b_0.png", "d_0.png"}
    monkeypatch.delitem(toy_endpoint.FAILURES, "no credit")
    run = run_benchmark(config, tmp_path / "run").run["generation"]
    assert [endpoint.tries_of(prompt) for prompt in ("fine", "forbidden", "no credit", "good")] == [1, 1, 2, 1]
    assert run["usage"] == {"images": 3, "price_USD": 1.5, "refused": 1, "requests": 5, "retries": 0}
    assert [row["prompt_id"] for row in run["remarks"]] == ["b"]


def test_images_that_came_before_ctrl_c_are_kept(
    endpoint: Any, toy: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imagen_bench.generators import openai_images

    def interrupted(answers: Any, return_when: str) -> None:
        answers[1].result()
        raise KeyboardInterrupt

    config = endpoint_run(endpoint, toy, tmp_path, "a,one,x\nb,two,x\nc,three,y\nd,four,y\n", concurrency=1)
    with monkeypatch.context() as patch:
        patch.setattr(openai_images, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_benchmark(config, tmp_path / "run")
    kept = sorted(path.name for path in (tmp_path / "run").glob("images/**/*.png"))
    assert kept[:2] == ["a_0.png", "b_0.png"]
    run_benchmark(config, tmp_path / "run")
    assert len(endpoint.bodies) == 4


def test_a_refusal_that_must_not_be_leaves_the_other_images(endpoint: Any) -> None:
    generator = opened(endpoint, refused="error", price_per_image=1.0)
    assert isinstance(generator, Salvages)
    with pytest.raises(ModelError, match="refused 'forbidden'"):
        generator.generate(["fine", "forbidden", "good"], [1, 2, 3], 1.0)
    saved = generator.salvage()
    assert saved is not None
    assert saved.rows == (0, 2)
    assert saved.report.usage["price_USD"] == 2.0
    generator.generate(["fine"], [1], 1.0)
    assert generator.salvage() is None
    with pytest.raises(ImagenBenchError):
        generator.generate(["text"], [1], 1.0)
    assert generator.salvage() is None
