"""Prompt sets: built in, from a plug-in, or from a user's own file.

A prompt set is named by a short name (`emoji-bench`), by a file (txt, csv, jsonl, parquet, tsv), or by a folder
with a `bench.toml`, which pins the rows of a file by their digest. Sets whose texts do not ship are fetched
once: see `prompt_store`; those of COCO are drawn from the user's copy: see `coco_prompts`. Prompts are kept
verbatim: cleaning would change what a model is asked, such as the quoted texts of DrawBench.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from imagen_bench.assets import asset
from imagen_bench.config import Count, Section, read_toml, validate
from imagen_bench.data.prompt_files import READERS, RawPrompt
from imagen_bench.errors import InputError
from imagen_bench.files import digest_json
from imagen_bench.registry import Registry
from imagen_bench.suggest import did_you_mean

DEFINITION = "bench.toml"
NO_CATEGORY = "uncategorised"
MAX_ID_LENGTH = 100
SEED_LIMIT = 2**63
"""Seeds lie in [0, 2**63): every torch and numpy generator takes them."""
# "all" stands for the whole set in every table of scores.
_RESERVED_CATEGORY = "all"
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Prompt:
    """One prompt.

    Attributes:
        prompt_id: Unique in its set (letter case aside) and safe as part of a file name.
        prompt: The text, verbatim.
        category: What it probes; `NO_CATEGORY` where the source names none.
        meta: Further filled columns of the source, such as the ground truth `count` or `color`, as text. A `seed`
            is a whole number in [0, 2**63): the first sample of the prompt is made with it.
    """

    prompt_id: str
    prompt: str
    category: str
    meta: dict[str, str]


@dataclass(frozen=True)
class PromptSet:
    """Prompts in order, with what identifies them.

    Attributes:
        id: Short name, or the name of the file without its ending.
        version: Version of a defined set; "file" for a user's own file, which only its digest identifies.
        digest: Hex SHA-256 over the rows' prompt_id, prompt and category, and their seeds where they have some.
        rows: The prompts.
    """

    id: str
    version: str
    digest: str
    rows: tuple[Prompt, ...]

    def __len__(self) -> int:
        """Return the number of prompts."""
        return len(self.rows)

    def categories(self) -> dict[str, int]:
        """Return the number of prompts per category, in order of first appearance."""
        return dict(Counter(row.category for row in self.rows))


PromptSetFactory = Callable[[], PromptSet]
prompt_sets: Registry[PromptSetFactory] = Registry(
    "prompt set",
    "imagen_bench.prompts",
    modules=("imagen_bench.data.prompt_store", "imagen_bench.data.coco_prompts"),
)


class MissingPromptSetError(InputError):
    """A known prompt set is not on this machine yet.

    Attributes:
        size: Its version, number of prompts, prompts per category, and digest where that is known beforehand.
        get: Commands that fetch it.
    """

    def __init__(self, message: str, size: tuple[str, int, dict[str, int], str | None], get: tuple[str, ...]) -> None:
        super().__init__(message)
        self.size, self.get = size, get


class BenchDefinition(Section):
    """Content of a `bench.toml`: the identity of a prompt set and what its rows must add up to."""

    id: str = Field(min_length=1)
    version: str = Field(min_length=1)
    title: str
    summary: str
    licence: str
    prompts: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    categories: dict[str, Count]


def load_prompt_set(name_or_path: str) -> PromptSet:
    """Load a prompt set by short name or path.

    Args:
        name_or_path: A name of `built_in_names()`, a txt, csv, jsonl, parquet or tsv file (or the name of one that
            ships, "models/..."), a folder with a `bench.toml`, or a COCO set and its place, such as
            `coco-30k:/path/to/coco`.

    Raises:
        ConfigError: The name is unknown, or a `bench.toml` is wrong.
        InputError: The file cannot be read, or a row is wrong (names file and line), or the set has not been
            fetched yet (names the commands that do).
    """
    from imagen_bench.data.coco_prompts import is_coco_prompts, load_coco_prompts

    if is_coco_prompts(name_or_path):
        return load_coco_prompts(*name_or_path.partition(":")[::2])
    path = Path(name_or_path)
    if path.suffix.lower() in READERS:
        ships = name_or_path.startswith("models/") and not path.is_file()
        return read_prompt_file(asset(name_or_path) if ships else path)
    if name_or_path in built_in_names():
        return prompt_sets.get(name_or_path)()
    if (path / DEFINITION).is_file():
        return load_bench(path)
    if path.is_file():
        raise InputError(f"{path}: a prompt file ends in {_endings()}, found {path.suffix or 'no ending'!r}; rename it")
    if path.is_dir():
        raise InputError(f"{path}: this folder holds no {DEFINITION}; name the prompt file itself")
    return prompt_sets.get(name_or_path)()


def built_in_names() -> tuple[str, ...]:
    """Return the short names that `load_prompt_set` knows, those of plug-ins included."""
    return prompt_sets.names()


@prompt_sets.register("emoji-bench")
def emoji_bench() -> PromptSet:
    """Load the 120 prompts of the bundled emoji model; `meta` holds the ground truth."""
    return load_bench(asset("drawbench/emoji-bench"))


@prompt_sets.register("open-drawbench")
def open_drawbench() -> PromptSet:
    """Load our own 200 prompts for the eleven skills of DrawBench; `meta` holds the ground truth."""
    return load_bench(asset("drawbench/open-drawbench"))


def load_bench(folder: Path) -> PromptSet:
    """Load the prompt set that a folder's `bench.toml` defines, and check its rows against the definition.

    Raises:
        ConfigError: The definition is wrong.
        InputError: The rows are not those that the definition pins.
    """
    source = folder / DEFINITION
    definition = validate(BenchDefinition, read_toml(source), str(source))
    found = read_prompt_file(folder / definition.prompts)
    if found.categories() != definition.categories:
        raise InputError(
            f"{folder / definition.prompts}: prompts per category are {found.categories()}, "
            f"{source.name} expects {definition.categories}; restore the file, or correct the definition"
        )
    if found.digest != definition.digest:
        raise InputError(
            f"{folder / definition.prompts}: the rows' digest is {found.digest}, {source.name} expects "
            f"{definition.digest}; restore the file, or give the changed set a new version and digest"
        )
    return PromptSet(definition.id, definition.version, found.digest, found.rows)


def read_prompt_file(path: Path) -> PromptSet:
    """Read a user's prompt file; ids p0001, p0002, ... are given where the file has none.

    Raises:
        InputError: The file cannot be read, or a row is wrong; names file and line.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: a prompt file ends in {_endings()}, found {path.suffix or 'no ending'!r}; rename it")
    if not path.is_file():
        names = prompt_sets.names()
        raise InputError(f"no prompt file {str(path)!r}: check the path; as for built-in sets, {_hint(path, names)}")
    raw = reader(path)
    if not raw:
        raise InputError(f"{path}: no prompts found; expected at least one row")
    return build_prompt_set(path.stem, "file", raw, str(path))


def build_prompt_set(set_id: str, version: str, raw: Sequence[RawPrompt], source: str) -> PromptSet:
    """Check rows and make a prompt set of them; for prompt-set plug-ins too.

    Args:
        set_id: Short name of the set.
        version: Its version.
        raw: Rows in order; either all have a `prompt_id` or none.
        source: Where they come from, for messages.

    Raises:
        InputError: An empty prompt, an id that is unsafe, missing or given twice, or the category "all".
    """
    numbered = all(row.prompt_id is None for row in raw)
    rows: list[Prompt] = []
    seen: dict[str, str] = {}
    for number, row in enumerate(raw, start=1):
        where = f"{source}, {row.where}"
        prompt_id = f"p{number:04d}" if numbered else _checked_id(row.prompt_id, where)
        # File systems that ignore case would let one prompt's images overwrite the other's.
        first = seen.setdefault(prompt_id.casefold(), row.where)
        if first != row.where:
            raise InputError(f"{where}: prompt_id {prompt_id!r} was given before, in {first}; ids must be unique")
        meta = _checked_meta(row.meta, where)
        rows.append(Prompt(prompt_id, _checked_prompt(row.prompt, where), _category(row.category, where), meta))
    seeds = [[row.meta["seed"]] if "seed" in row.meta else [] for row in rows]
    listing = [[row.prompt_id, row.prompt, row.category, *seed] for row, seed in zip(rows, seeds, strict=True)]
    return PromptSet(set_id, version, digest_json(listing), tuple(rows))


def _checked_id(prompt_id: str | None, where: str) -> str:
    if prompt_id is None:
        raise InputError(f"{where}: the prompt_id is empty; fill it in every row, or leave the column out")
    if not _SAFE_ID.fullmatch(prompt_id) or prompt_id.startswith((".", "-")) or len(prompt_id) > MAX_ID_LENGTH:
        raise InputError(
            f"{where}: prompt_id {prompt_id!r} cannot be part of a file name; use at most {MAX_ID_LENGTH} "
            "letters, digits, '.', '_' or '-', and start with a letter, a digit or '_'"
        )
    return prompt_id


def _checked_prompt(prompt: str, where: str) -> str:
    if not prompt.strip():
        raise InputError(f"{where}: the prompt is empty; write one or remove the row")
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: the prompt holds half a character (a lone surrogate); write it again") from error
    if "\0" in prompt:
        raise InputError(f"{where}: the prompt holds a NUL character; write it again")
    return prompt


def _checked_meta(meta: dict[str, str], where: str) -> dict[str, str]:
    if "seed" not in meta:
        return meta
    # A column of whole numbers that was a table of floats for a while says 7.0.
    seed = meta["seed"].strip().removesuffix(".0")
    if not (seed.isascii() and seed.isdecimal() and len(seed) <= 19 and int(seed) < SEED_LIMIT):
        raise InputError(
            f"{where}: the seed is {meta['seed']!r}, expected a whole number from 0 to 2**63 - 1, which the prompt's "
            "first sample is made with; correct it, or give the column another name"
        )
    return {**meta, "seed": str(int(seed))}


def _category(category: str, where: str) -> str:
    # The official DrawBench sheet has "Gary Marcus et al. " with a blank at its end.
    stripped = category.strip()
    if stripped == _RESERVED_CATEGORY:
        raise InputError(f"{where}: the category {stripped!r} is taken for the whole set; choose another name")
    return stripped or NO_CATEGORY


def _hint(path: Path, names: Sequence[str]) -> str:
    return did_you_mean(path.stem, names)


def _endings() -> str:
    return " ".join(READERS)
