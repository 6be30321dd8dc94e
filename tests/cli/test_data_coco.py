from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imagen_bench.cli.main import main

WriteCoco = Callable[..., Path]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_whole_copy_is_remembered(tmp_path: Path, write_coco: WriteCoco, small_coco: None, home: Path) -> None:
    root = write_coco(tmp_path / "coco")
    assert run("prompts", "show", "coco-30k").exit_code == 1
    done = run("data", "coco", "--root", str(root), "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["complete"]
    assert found["remembered_in"] == str(home / "coco.json")
    shown = run("prompts", "show", "coco-30k", "--json")
    assert json.loads(shown.stdout)["digest"] == found["prompts"][0]["digest"]


def test_text_and_sets(tmp_path: Path, write_coco: WriteCoco, small_coco: None) -> None:
    root = write_coco(tmp_path / "coco")
    done = run("data", "coco", "--root", str(root), "--reference", "coco-val2014-16px", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.stderr
    assert "captions   12 images, 72 captions" in done.stdout
    assert "prompts    coco-10k: 3 prompts" in done.stdout
    assert "reference  coco-val2014-16px-lanczos: 12 images" in done.stdout
    assert f"written    {tmp_path / 'out' / 'protocol.json'}" in done.stdout
    assert len(list((tmp_path / "out" / "coco-val2014-16px-lanczos").iterdir())) == 12


def test_an_incomplete_copy_is_shown_refused_and_not_remembered(
    tmp_path: Path, write_coco: WriteCoco, small_coco: None, home: Path
) -> None:
    root = write_coco(tmp_path / "coco")
    victim = sorted((root / "val2014").iterdir())[0]
    victim.unlink()
    done = run("data", "coco", "--root", str(root))
    assert done.exit_code == 1
    assert f"problem    images of the caption file that are not there: 1 ({victim.name})" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert victim.name in done.stderr.splitlines()[-1]
    assert not (home / "coco.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--root", "/nowhere"], "no folder '/nowhere': expected a copy of COCO"),
        (["--root", "."], "no captions of val2014 in '.'"),
        (["--root", ".", "--reference", "coco-val2014-bycubic"], "did you mean 'bicubic'"),
        (["--root", ".", "--reference", "val2014"], "unknown COCO reference 'val2014'"),
    ],
)
def test_wrong_arguments_are_one_line(arguments: list[str], message: str) -> None:
    done = run("data", "coco", *arguments)
    assert done.exit_code == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert message in line


def test_prompts_list_says_how_to_get_coco() -> None:
    done = run("prompts", "list")
    assert done.exit_code == 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("coco-30k ")]
    assert "30000 prompts" in line
    assert line.endswith("missing: imagen-bench data coco --root DIR")


def test_a_subset_is_checked_and_not_remembered(tmp_path: Path, write_coco: WriteCoco, home: Path) -> None:
    root = write_coco(tmp_path / "coco")
    done = run("data", "coco", "--root", str(root), "--reference", "coco-val2014-subset")
    assert done.exit_code == 0, done.stderr
    assert "prompts    coco-subset: 12 prompts" in done.stdout
    assert "remembered" not in done.stdout
    assert not home.exists()
