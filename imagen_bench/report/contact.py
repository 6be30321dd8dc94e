"""Contact sheets: samples drawn at random, the best and the worst by a score, and those that changed most.

Each sheet is chosen by a stated rule. "Random" is the order of a digest of seed, prompt id and sample index, so
that runs of one prompt set show the same prompts, whatever else they hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from imagen_bench.errors import InputError
from imagen_bench.report.data import RunData
from imagen_bench.report.gallery import STRIP_RULE, Strip, Tile, make_tile
from imagen_bench.report.metric_words import Metric, best_weight, decimals_for, format_value

SEED = 0
RANDOM, EXTREME, CHANGED = 24, 12, 6
_KEYS = ["prompt_id", "index"]


@dataclass(frozen=True)
class Sheet:
    """Images that a rule chose.

    Attributes:
        key: "random", "highest" or "lowest".
        title: What they are.
        rule: The rule, one sentence.
        tiles: The images.
        notes: The score of each image in words; empty where there is none.
    """

    key: str
    title: str
    rule: str
    tiles: tuple[Tile, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class GridRow:
    """A prompt with one image a column; None where an image is not there.

    Attributes:
        text: The prompt.
        detail: Category and seed in words.
        tiles: The images.
        notes: What stands below each image; empty for nothing.
    """

    text: str
    detail: str
    tiles: tuple[Tile | None, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """Rows of images under different conditions.

    Attributes:
        title: What is compared.
        rule: How the rows were chosen, one sentence.
        heads: Name of each column.
        rows: The rows.
    """

    title: str
    rule: str
    heads: tuple[str, ...]
    rows: tuple[GridRow, ...]


def shown_weight(run: RunData, metrics: Sequence[Metric]) -> float:
    """The weight whose images the sheets show: that of the best distance, else the lowest weight.

    Raises:
        InputError: the run has no images.
    """
    sampled = sorted({float(weight) for weight in run.samples["guidance_weight"]})
    if not sampled:
        raise InputError("no images to show: generate samples first")
    distance = next((metric for metric in metrics if not metric.higher_is_better), None)
    best = best_weight(run, distance) if distance is not None else None
    return best if best is not None and best in sampled else sampled[0]


def sample_metric(run: RunData, metrics: Sequence[Metric]) -> Metric | None:
    """The first metric that scores single samples; None if there is none."""
    scored = set(run.folder.sample_scores()["metric"])
    return next((metric for metric in metrics if metric.name in scored), None)


def pick_sheets(run: RunData, metrics: Sequence[Metric]) -> list[Sheet]:
    """The sheets of one run at one weight: random always, highest and lowest where samples have scores."""
    if run.samples.empty:
        return []
    weight, metric = shown_weight(run, metrics), sample_metric(run, metrics)
    rows = run.samples[run.samples["guidance_weight"] == weight]
    drawn = rows.iloc[_random_order(rows)[:RANDOM]]
    rule = f"{len(drawn)} of {len(rows):,} images at w = {weight:g}, drawn with seed {SEED}."
    sheets = [Sheet("random", "Random samples", rule, tuple(make_tile(run, row) for _, row in drawn.iterrows()), ())]
    scored = run.scored_samples(metric.name) if metric is not None else rows.iloc[:0]
    scored = scored[scored["guidance_weight"] == weight]
    if metric is None or len(scored) < 2 * EXTREME:
        return sheets
    ordered = scored.sort_values(["value", *_KEYS], kind="stable")
    for key, chosen in (("highest", ordered.iloc[::-1]), ("lowest", ordered)):
        rule = f"The {EXTREME} of {len(scored):,} images at w = {weight:g} with the {key} {metric.label}."
        chosen = chosen.head(EXTREME)
        tiles = tuple(make_tile(run, row) for _, row in chosen.iterrows())
        sheets.append(Sheet(key, f"{key.capitalize()} {metric.label}", rule, tiles, tuple(_notes(chosen["value"]))))
    return sheets


def strip_grid(strips: Sequence[Strip]) -> Grid:
    """Strips as a grid: one row a prompt, one column a guidance weight."""
    weights = sorted({tile.guidance_weight for strip in strips for tile in strip.tiles})
    rows = []
    for strip in strips:
        by_weight = {tile.guidance_weight: tile for tile in strip.tiles}
        tiles = tuple(by_weight.get(weight) for weight in weights)
        rows.append(GridRow(strip.prompt, f"{strip.category}, seed {strip.seed}", tiles, ()))
    rule = f"Chosen by rule, not by eye: {STRIP_RULE}."
    heads = tuple(f"w = {weight:g}" for weight in weights)
    return Grid("The same prompt and seed across guidance weights", rule, heads, tuple(rows))


def changes_over_weights(run: RunData, metrics: Sequence[Metric]) -> Grid | None:
    """The samples whose score moves most over a run's weights; None without scores of two weights."""
    metric = sample_metric(run, metrics)
    if metric is None:
        return None
    scored = run.scored_samples(metric.name)
    table = scored.pivot_table(index=_KEYS, columns="guidance_weight", values="value").dropna()
    if table.shape[1] < 2 or table.empty:
        return None
    moved = _most_moved(table)
    by_weight = {weight: rows.set_index(_KEYS) for weight, rows in scored.groupby("guidance_weight")}
    grid_rows = _grid_rows([(run, by_weight[weight]) for weight in table.columns], table, moved)
    title = "Most changed between guidance weights"
    rule = f"The samples whose {metric.label} differs most between two weights; along a row prompt and seed are equal."
    return Grid(title, rule, tuple(f"w = {weight:g}" for weight in table.columns), grid_rows)


def changes_over_runs(runs: Sequence[RunData], metrics: Sequence[Metric]) -> Grid | None:
    """The same prompts in each run at one weight, most changed first; None if the runs share no images.

    Where the runs' samples have scores of one metric, the rows are those that it moves most for; else they are
    drawn at random.
    """
    weight = _common_weight(runs, metrics)
    if weight is None:
        return None
    metric = sample_metric(runs[0], metrics)
    frames = [_at_weight(run, metric, weight) for run in runs]
    if metric is None or any("value" not in frame for frame in frames):
        metric, frames = None, [_at_weight(run, None, weight) for run in runs]
    shared = _shared_keys(frames)
    if shared.empty:
        return None
    title = f"The same prompts in each run, w = {weight:g}"
    heads = tuple(run.label for run in runs)
    if metric is None:
        places = _random_order(shared.to_frame(index=False))[:CHANGED]
        table, chosen = pd.DataFrame(index=shared), [_key(shared[place]) for place in places]
        rule = f"Samples drawn with seed {SEED}."
    else:
        table = pd.concat([frame.loc[shared, "value"] for frame in frames], axis=1)
        chosen = _most_moved(table)
        rule = f"The samples whose {metric.label} differs most between two runs."
    return Grid(title, rule, heads, _grid_rows(list(zip(runs, frames, strict=True)), table, chosen))


def _grid_rows(
    columns: Sequence[tuple[RunData, pd.DataFrame]], table: pd.DataFrame, chosen: Sequence[tuple[str, int]]
) -> tuple[GridRow, ...]:
    """One row a chosen sample; each column's frame is indexed by prompt id and sample index."""
    rows = []
    for key in chosen:
        found = [frame.loc[[key]].reset_index().iloc[0] for _, frame in columns]
        seeds = list(dict.fromkeys(int(row["seed"]) for row in found))
        detail = f"{found[0]['category']}, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
        tiles = tuple(make_tile(run, row) for (run, _), row in zip(columns, found, strict=True))
        notes = tuple(_notes(table.loc[[key]].to_numpy(dtype=float).ravel().tolist())) if table.shape[1] else ()
        rows.append(GridRow(str(found[0]["prompt"]), detail, tiles, notes))
    return tuple(rows)


def _at_weight(run: RunData, metric: Metric | None, weight: float) -> pd.DataFrame:
    """Samples at a weight by prompt id and sample index, with the column `value` if they have scores."""
    scored = run.scored_samples(metric.name) if metric is not None else run.samples
    if scored.empty:
        scored = run.samples
    return scored[scored["guidance_weight"] == weight].set_index(_KEYS).sort_index()


def _shared_keys(frames: Sequence[pd.DataFrame]) -> pd.MultiIndex:
    """Keys that all frames have for the same prompt."""
    prompts = pd.concat([frame["prompt"] for frame in frames], axis=1, join="inner")
    same = prompts[prompts.nunique(axis=1) == 1] if len(prompts) else prompts
    return pd.MultiIndex.from_tuples(same.index.tolist(), names=_KEYS)


def _common_weight(runs: Sequence[RunData], metrics: Sequence[Metric]) -> float | None:
    """A weight of all runs: that of the first run's sheets if they share it, else the lowest shared."""
    shared = set.intersection(*(set(run.samples["guidance_weight"]) for run in runs))
    if not shared:
        return None
    wanted = shown_weight(runs[0], metrics)
    return wanted if wanted in shared else float(min(shared))


def _most_moved(table: pd.DataFrame) -> list[tuple[str, int]]:
    """Keys of the rows with the largest span, the largest first."""
    span = (table.max(axis=1) - table.min(axis=1)).sort_index()
    return [_key(key) for key in span.sort_values(ascending=False, kind="stable").index[:CHANGED]]


def _key(key: Any) -> tuple[str, int]:
    return str(key[0]), int(key[1])


def _random_order(rows: pd.DataFrame) -> list[int]:
    """Positions of the rows in an order that the seed and each row's own key decide."""
    keys = [f"{SEED}/{prompt_id}/{index}" for prompt_id, index in zip(rows["prompt_id"], rows["index"], strict=True)]
    return sorted(range(len(keys)), key=lambda place: hashlib.sha256(keys[place].encode()).digest())


def _notes(values: Sequence[float] | pd.Series) -> list[str]:
    numbers = [float(value) for value in values]
    return [format_value(value, min(3, decimals_for(numbers))) for value in numbers]
