"""config.toml of a finished training: how it names its text encoder, and which stages get none."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from imagen_bench.assets import asset
from imagen_bench.imagen.checkpoint import read_stage_config
from imagen_bench.imagen.text_models import encoder_source
from imagen_bench.tiny.model_folder import write_model_config

STAGE = read_stage_config(asset("models/imagen-emoji/base"))


def model_of(folder: Path) -> dict[str, object]:
    return dict(tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))["model"])


def test_a_local_encoder_is_named_relative_to_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "encoders" / "small").mkdir(parents=True)
    write_model_config(tmp_path / "runs" / "base", STAGE, "encoders/small")
    found = model_of(tmp_path / "runs" / "base")
    assert found == {"text_encoder": "../../encoders/small", "base": "stage", "text_length": 32}
    source = encoder_source("../../encoders/small", tmp_path / "runs" / "base")
    assert Path(source).resolve() == tmp_path / "encoders" / "small"


@pytest.mark.parametrize("name", ["models/imagen-emoji/text_encoder", "google/t5-v1_1-xxl"])
def test_shipped_encoders_and_hub_ids_keep_their_names(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_model_config(tmp_path / "base", STAGE, name)
    assert model_of(tmp_path / "base")["text_encoder"] == name
    shipped = asset(name) if name.startswith("models/") else name
    assert encoder_source(name, tmp_path / "base") == shipped


def test_a_missing_encoder_is_named_by_its_path(tmp_path: Path) -> None:
    assert encoder_source("text_encoder", tmp_path) == tmp_path / "text_encoder"


def test_a_stage_that_no_model_begins_with_gets_none(tmp_path: Path) -> None:
    write_model_config(tmp_path / "a", read_stage_config(asset("models/imagen-emoji/sr256")), "t/5")
    write_model_config(tmp_path / "b", STAGE.model_copy(update={"name": "middle"}), "t/5")
    assert list(tmp_path.iterdir()) == []
