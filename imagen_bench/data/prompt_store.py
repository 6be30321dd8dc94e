"""Prompt sets that are fetched once: DrawBench, PartiPrompts and GenEval.

Their definitions ship with the package, their texts do not. A verified copy is kept in the user's data folder
(`imagen_bench.home.data_home`) as `prompts/<name>.jsonl`. Its content depends on the definition alone, not on
the copy that it was made from, and it is checked again whenever it is loaded.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from imagen_bench.assets import asset
from imagen_bench.data.coco import coco_advice
from imagen_bench.data.coco_prompts import is_coco_prompts
from imagen_bench.data.prompt_check import (
    CopyDiffersError,
    OutsideDefinition,
    in_official_order,
    normalised,
    read_definition,
)
from imagen_bench.data.prompt_files import RawPrompt, read_csv, read_jsonl, read_parquet, read_quoted_tsv, read_tsv
from imagen_bench.data.prompt_pull import download
from imagen_bench.data.prompts import (
    MissingPromptSetError,
    PromptSet,
    build_prompt_set,
    built_in_names,
    load_prompt_set,
    prompt_sets,
)
from imagen_bench.errors import ConfigError, ImagenBenchError, InputError
from imagen_bench.files import atomic_write_text
from imagen_bench.home import data_home
from imagen_bench.suggest import did_you_mean

OUTSIDE_SETS = ("drawbench", "geneval", "partiprompts")
# Tab-separated tables come with quotes as plain text (PartiPrompts') or as marks (a spreadsheet's).
_COPY_READERS: Mapping[str, tuple[Callable[[Path], list[RawPrompt]], ...]] = {
    ".csv": (read_csv,),
    ".tsv": (read_tsv, read_quoted_tsv),
    ".jsonl": (read_jsonl,),
    ".parquet": (read_parquet,),
}
_COPY_ENDINGS = tuple(_COPY_READERS)


@dataclass(frozen=True)
class SetStatus:
    """One prompt set as it is on this machine.

    Attributes:
        name: Short name.
        state: "ready", "missing" (not fetched yet) or "broken" (`problem` says why).
        version: Its version; None where it is broken.
        prompts: Its number of prompts; None where it is broken.
        categories: Its number of prompts per category.
        digest: Its digest; None where it is broken.
        get: Commands that fetch it; empty where it ships with the package or a plug-in.
        problem: Why it cannot be used; empty where it can.
    """

    name: str
    state: str
    version: str | None
    prompts: int | None
    categories: dict[str, int]
    digest: str | None
    get: tuple[str, ...]
    problem: str


def outside_definition(name: str) -> OutsideDefinition:
    """Return the definition of a set whose texts do not ship.

    Raises:
        ConfigError: The name is none of `OUTSIDE_SETS`.
    """
    return read_definition(_folder(name))[0]


def stored_path(name: str) -> Path:
    """Return where the verified copy of a set is kept; the file need not exist."""
    return data_home() / "prompts" / f"{name}.jsonl"


def get_commands(name: str) -> tuple[str, str]:
    """Return the two commands that fetch a set: over the network, and from a local copy."""
    return f"imagen-bench prompts pull {name}", f"imagen-bench prompts add {name} FILE"


def load_stored(name: str) -> PromptSet:
    """Load a set from the user's data folder and check it against its definition.

    Raises:
        MissingPromptSetError: It has not been fetched yet; names both commands that do.
        InputError: The stored copy was changed since; says in which row.
    """
    _folder(name)
    path = stored_path(name)
    pull_command, add_command = get_commands(name)
    if not path.is_file():
        definition = outside_definition(name)
        raise MissingPromptSetError(
            f"prompt set {name!r} is not on this machine (expected {path}): "
            f"fetch it with `{pull_command}`, or read your own copy with `{add_command}`",
            (definition.version, definition.prompts, definition.categories, definition.digest),
            (pull_command, add_command),
        )
    advice = f"fetch it again with `{pull_command}` or `{add_command}`"
    try:
        raw = read_jsonl(path)
    except InputError as error:
        raise InputError(f"{error}; {advice}") from error
    return _verified(name, raw, str(path), advice)


def add_copy(name: str, file: Path) -> PromptSet:
    """Verify a local copy of a set and keep it.

    Args:
        name: One of `OUTSIDE_SETS`.
        file: A csv, tsv, jsonl or parquet copy, with or without byte-order mark, in any order of rows and columns.

    Raises:
        ConfigError: The name is unknown.
        CopyDiffersError: The copy differs; its `differences` name the rows. Nothing is stored.
        InputError: The file cannot be read.
    """
    _folder(name)
    if file.suffix.lower() not in _COPY_ENDINGS:
        endings = " ".join(_COPY_ENDINGS)
        raise InputError(f"{file}: a copy of {name} ends in {endings}, found {file.suffix or 'no ending'!r}; rename it")
    if not file.is_file():
        raise InputError(f"no file {str(file)!r}: give the path of a copy of {name}")
    return _keep(name, file, str(file), f"use another copy, or `{get_commands(name)[0]}`")


def pull(name: str, url: str | None = None) -> PromptSet:
    """Download a set from its publisher, verify it and keep it.

    Args:
        name: One of `OUTSIDE_SETS`.
        url: Another address to take it from, such as a mirror; its ending says the format, if it is a known one.

    Raises:
        ConfigError: The name is unknown, or the address is no http(s) one.
        InputError: The download failed, or what came is not the set.
    """
    definition = outside_definition(name)
    address = url or definition.url
    advice = f"or read a copy of yours with `{get_commands(name)[1]}`"
    data = download(address, advice)
    ending = Path(urlsplit(address).path).suffix.lower()
    with tempfile.TemporaryDirectory(prefix="imagen-bench-") as folder:
        file = Path(folder) / f"{name}{ending if ending in _COPY_ENDINGS else definition.format}"
        file.write_bytes(data)
        return _keep(name, file, address, f"nothing was stored; give another address with --url, {advice}")


def status_of(name: str) -> SetStatus:
    """Return what is known of a prompt set, without failing where it is missing or broken.

    Raises:
        ConfigError: The name is unknown.
    """
    if name not in built_in_names():
        raise ConfigError(f"unknown prompt set {name!r}: {did_you_mean(name, built_in_names())}")
    get = get_commands(name) if name in OUTSIDE_SETS else ()
    try:
        found = load_prompt_set(name)
    except MissingPromptSetError as error:
        return SetStatus(name, "missing", *error.size, error.get, str(error))
    except ImagenBenchError as error:
        return SetStatus(name, "broken", None, None, {}, None, get, str(error))
    return SetStatus(name, "ready", found.version, len(found), found.categories(), found.digest, get, "")


def _folder(name: str) -> Path:
    if name in OUTSIDE_SETS:
        return asset(f"drawbench/{name}")
    if is_coco_prompts(name):
        raise ConfigError(f"{name!r} is drawn from your copy of COCO: {coco_advice(name)}")
    if name in built_in_names():
        raise ConfigError(f"{name!r} is here already and is never fetched; sets to fetch: {', '.join(OUTSIDE_SETS)}")
    raise ConfigError(f"no prompt set {name!r} to fetch: {did_you_mean(name, OUTSIDE_SETS)}")


def _keep(name: str, file: Path, source: str, advice: str) -> PromptSet:
    """Verify a file by each reader of its ending and store what agrees; the messages name its source."""
    refusals: list[InputError] = []
    for reader in _COPY_READERS[file.suffix.lower()]:
        try:
            found = _verified(name, reader(file), source, advice)
        except InputError as error:
            refusals.append(error)
            continue
        _store(found)
        return found
    # Read the wrong way, a table differs in more rows.
    best = min(
        refusals, key=lambda error: len(error.differences) if isinstance(error, CopyDiffersError) else sys.maxsize
    )
    if isinstance(best, CopyDiffersError) or str(file) == source:
        raise best
    raise InputError(f"{str(best).replace(str(file), source)}; {advice}") from best


def _verified(name: str, raw: Sequence[RawPrompt], source: str, advice: str) -> PromptSet:
    definition, pins = read_definition(_folder(name))
    rows = in_official_order(definition, pins, normalised(definition, raw, source), source, advice)
    found = build_prompt_set(definition.id, definition.version, rows, source)
    if found.digest != definition.digest:
        raise InputError(
            f"{source}: the rows' digest is {found.digest}, the definition of {definition.id} expects "
            f"{definition.digest}; install imagen-bench again"
        )
    return found


def _store(prompts: PromptSet) -> None:
    path = stored_path(prompts.id)
    try:
        atomic_write_text(path, _to_jsonl(prompts))
    except OSError as error:
        raise InputError(
            f"cannot keep {prompts.id} in {path}: {error.strerror}; set IMAGEN_BENCH_HOME to another folder"
        ) from error


def _to_jsonl(prompts: PromptSet) -> str:
    rows = (
        {"prompt_id": row.prompt_id, "prompt": row.prompt, "category": row.category, **row.meta} for row in prompts.rows
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


for _name in OUTSIDE_SETS:
    prompt_sets.register(_name)(partial(load_stored, _name))
