"""Configuration files: what is read, what is refused, and how the refusal reads."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from imagen_bench.config import (
    RunConfig,
    Section,
    apply_overrides,
    dump_config,
    load_config,
    read_toml,
    validate,
)
from imagen_bench.errors import ConfigError

TEXT = """\
name = "demo"
[model]
name = "imagen-emoji"
options = {steps = 8}
[prompts]
set = "emoji-bench"
[sweep]
guidance_weights = [3, 1, 1.5]
[sheets]
guidance_weights = [1, 3]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "run.toml"
    file.write_text(TEXT)
    return file


def refused(data: Any, model: type[Section] = RunConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        validate(model, data, "run.toml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("run.toml: ")
    return message


def changed(**overrides: str) -> dict[str, Any]:
    pairs = [f"{key.replace('__', '.')}={value}" for key, value in overrides.items()]
    return apply_overrides(tomllib.loads(TEXT), pairs)


def test_weights_keep_their_order_and_defaults_are_filled_in(path: Path) -> None:
    config = load_config(path)
    assert config.sweep.guidance_weights == (3.0, 1.0, 1.5)
    assert config.scores.metrics == ("clip_score", "fd")
    assert config.seed == 0
    assert config.gallery is None


def test_dump_is_json_and_itself_a_valid_config(path: Path) -> None:
    config = load_config(path)
    assert validate(RunConfig, json.loads(json.dumps(dump_config(config))), "run.json") == config


def test_config_is_frozen(path: Path) -> None:
    config = load_config(path)
    with pytest.raises(ValidationError, match="frozen"):
        config.seed = 3  # type: ignore[misc]


def test_unknown_key_names_file_dotted_key_and_nearest() -> None:
    message = refused(changed(model__genrator="x"))
    assert message.startswith("run.toml: unknown key 'model.genrator': did you mean 'generator'?")


def test_unknown_key_in_an_optional_section_and_at_the_top() -> None:
    assert "'sheets.shets': did you mean 'sheets'?" in refused(changed(sheets__shets="1"))
    assert "'sed': did you mean 'seed'?" in refused(changed(sed="1"))


def test_unknown_key_in_a_list_of_tables() -> None:
    class Stage(Section):
        width: int

    class Training(Section):
        stages: tuple[Stage, ...] | None = None

    assert "'stages.1.widht': did you mean 'width'?" in refused(
        {"stages": [{"width": 1}, {"width": 2, "widht": 3}]}, Training
    )


def test_missing_key_and_missing_table() -> None:
    message = refused({"name": "x", "model": {}, "prompts": {"set": "a"}})
    assert "key 'model.name' is missing" in message
    assert "key 'sweep' is missing" in message


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("seed=true", "'seed' is True"),
        ('seed="3"', "'seed' is '3'"),
        ("seed=-1", "'seed' is -1"),
        ("seed=9223372036854775808", "'seed' is 9223372036854775808"),
        ("sweep.guidance_weights=[]", "'sweep.guidance_weights' is []"),
        ("sweep.guidance_weights=[1, -2]", "'sweep.guidance_weights.1' is -2"),
        ("sweep.guidance_weights=[1, nan]", "'sweep.guidance_weights.1' is nan"),
        ("sweep.guidance_weights=[1, true]", "'sweep.guidance_weights.1' is True"),
        ("sweep.guidance_weights=[1, 3, 1.0]", "guidance weight is given twice"),
        ("prompts.samples_per_prompt=0", "'prompts.samples_per_prompt' is 0"),
        ("prompts.limit=1.5", "'prompts.limit' is 1.5"),
        ("sheets.guidance_weights=[1]", "'sheets.guidance_weights"),
        ("sheets.guidance_weights=[1, 4]", "sheets.guidance_weights has 4, which is not in sweep"),
        ("gallery.guidance_weight=2", "gallery.guidance_weight has 2, which is not in sweep"),
        ("name=../escape", "'name' is '../escape'"),
        ("name=", "'name' is ''"),
        ("model=imagen", "'model' is 'imagen'"),
    ],
)
def test_wrong_value_is_refused_in_one_line(override: str, found: str) -> None:
    assert found in refused(apply_overrides(tomllib.loads(TEXT), [override]))


def test_many_problems_are_counted_not_listed() -> None:
    assert refused({"a": 1, "b": 1, "c": 1}).endswith("; and 4 more")


def test_overrides_apply_in_order_and_leave_their_input_alone(path: Path) -> None:
    data = tomllib.loads(TEXT)
    result = apply_overrides(data, ["seed=1", "seed=2", "prompts.limit = 4", "gallery.prompts=3", "name=a-b"])
    assert data == tomllib.loads(TEXT)
    assert (result["seed"], result["prompts"]["limit"], result["gallery"], result["name"]) == (
        2,
        4,
        {"prompts": 3},
        "a-b",
    )
    assert load_config(path, ["sweep.guidance_weights=[1, 3]"]).sweep.guidance_weights == (1.0, 3.0)


@pytest.mark.parametrize("override", ["seed", "=1", "model..name=x", ".seed=1", ""])
def test_malformed_override_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match=r"not of the form dotted\.key=value"):
        apply_overrides({}, [override])


def test_override_through_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed is a value, not a table"):
        apply_overrides({"seed": 1}, ["seed.deep=2"])


def test_override_cannot_smuggle_a_second_key() -> None:
    assert apply_overrides({}, ["a=1\nb=2"]) == {"a": "1\nb=2"}


def test_missing_file_and_broken_toml_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = \n")
    with pytest.raises(ConfigError, match=r"bad\.toml is not valid TOML.*line 1"):
        read_toml(tmp_path / "bad.toml")
    (tmp_path / "bytes.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_toml(tmp_path / "bytes.toml")


def test_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbfa = 1")
    assert read_toml(tmp_path / "bom.toml") == {"a": 1}


keys = st.text(alphabet="abc_", min_size=1, max_size=4)
values = st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False)


@given(st.lists(keys, min_size=1, max_size=4), values)
def test_override_reaches_any_depth_with_its_toml_type(path: list[str], value: float) -> None:
    text = json.dumps(value) if isinstance(value, bool) else repr(value)
    found: Any = apply_overrides({}, [f"{'.'.join(path)}={text}"])
    for key in path:
        found = found[key]
    assert found == value
    assert type(found) is type(value)


@given(st.text(alphabet="abcxyz /.-", min_size=1))
def test_override_that_is_no_toml_is_a_string(text: str) -> None:
    assert apply_overrides({}, [f"key={text}"]) == {"key": text.strip()}
