"""Registered names, plug-ins, and the suggestion for a misspelt name."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imagen_bench import registry as registry_module
from imagen_bench.errors import ConfigError
from imagen_bench.registry import Registry
from imagen_bench.suggest import did_you_mean, nearest

PLUGIN = """\
[demo.things]
extra = demo_plugin:EXTRA
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay out an installed distribution with one entry point, as pip would."""
    info = tmp_path / "demo_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: demo-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(PLUGIN)
    (tmp_path / "demo_plugin.py").write_text("EXTRA = 42\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "demo_plugin", raising=False)
    return tmp_path


def test_register_returns_the_object_and_get_finds_it() -> None:
    things: Registry[type] = Registry("thing")

    @things.register("a")
    class A:
        pass

    assert things.get("a") is A
    assert things.names() == ("a",)


def test_unknown_name_is_answered_with_the_nearest() -> None:
    metrics: Registry[int] = Registry("metric")
    metrics.register("clip_score")(1)
    metrics.register("fd")(2)
    with pytest.raises(ConfigError, match=r"unknown metric 'clip-score': did you mean 'clip_score'\?"):
        metrics.get("clip-score")


def test_name_taken_twice_is_an_error_but_the_same_object_is_not() -> None:
    things: Registry[object] = Registry("thing")
    things.register("a")("first")
    things.register("a")("first")
    with pytest.raises(ConfigError, match="thing 'a' is registered twice"):
        things.register("a")("second")


def test_plugin_is_loaded_on_the_first_miss_only(plugin: Path) -> None:
    things: Registry[int] = Registry("thing", "demo.things")
    things.register("own")(1)
    assert things.get("own") == 1
    assert "demo_plugin" not in sys.modules
    assert things.get("extra") == 42
    assert things.names() == ("extra", "own")


def test_listing_loads_plugins(plugin: Path) -> None:
    things: Registry[int] = Registry("thing", "demo.things")
    assert things.names() == ("extra",)


def test_broken_plugin_is_an_error_that_names_its_package(plugin: Path) -> None:
    (plugin / "demo_plugin.py").write_text("raise OSError('no such library')\n")
    things: Registry[int] = Registry("thing", "demo.things")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"thing plug-in 'extra'.*OSError: no such library.*demo-plugin"):
            things.names()


def test_plugin_may_not_replace_a_built_in(plugin: Path) -> None:
    things: Registry[int] = Registry("thing", "demo.things")
    things.register("extra")(1)
    with pytest.raises(ConfigError, match="'extra' is registered twice"):
        things.names()


def test_modules_of_built_ins_are_imported_on_need(plugin: Path) -> None:
    (plugin / "demo_builtin.py").write_text("from test_double import things\nthings.register('b')(7)\n")
    things: Registry[int] = Registry("thing", modules=("demo_builtin",))
    (plugin / "test_double.py").write_text("things = None\n")
    import test_double

    test_double.things = things
    assert things.get("b") == 7


def test_entry_point_without_distribution_is_still_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint(name="x", value="no_such_module_at_all:X", group="g")
    monkeypatch.setattr(registry_module, "entry_points", lambda group: [point])
    with pytest.raises(ConfigError, match="unknown package"):
        Registry[int]("thing", "g").names()


@given(st.lists(st.text(min_size=1), min_size=1, unique_by=str.casefold), st.data())
def test_a_known_name_is_its_own_nearest(names: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names))
    assert nearest(name, names).casefold() == name.casefold()


@given(st.text(alphabet="abcdefgh", min_size=4, max_size=12), st.data())
def test_one_missing_letter_is_found(name: str, data: st.DataObject) -> None:
    drop = data.draw(st.integers(0, len(name) - 1))
    misspelt = name[:drop] + name[drop + 1 :]
    assume(misspelt != name)
    assert nearest(misspelt, [name, "ZZZZZZ", "12345"]) == name


@given(st.text(), st.lists(st.text(), max_size=30))
def test_suggestion_is_always_a_known_name(name: str, names: list[str]) -> None:
    assert nearest(name, names) in {*names, ""}


def test_phrase_lists_a_dozen_names_and_no_more() -> None:
    assert did_you_mean("qqq", []) == "none are known"
    assert did_you_mean("qqq", ["b", "a"]) == "known: a, b"
    assert did_you_mean("qqq", [f"n{i:02}" for i in range(13)]).endswith("n11, ...")
