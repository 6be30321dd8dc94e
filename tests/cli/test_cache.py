from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from imagen_bench.cli.main import main
from imagen_bench.metrics.feature_key import FeatureKey
from imagen_bench.metrics.feature_store import FeatureStore


def test_info_and_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path))
    monkeypatch.setenv("IMAGEN_BENCH_CACHE_GB", "3")
    runner = CliRunner()
    assert ": 0 entries, 0.00 of 3 GB" in runner.invoke(main, ["cache", "info"]).stdout
    for name in "ab":
        FeatureStore().put(FeatureKey("features", name, "", "net", {}), {"features": np.zeros((100, 10))})
    found = json.loads(runner.invoke(main, ["cache", "info", "--json"]).stdout)
    assert (found["entries"], found["limit_bytes"]) == (2, 3_000_000_000)
    assert 16_000 < found["bytes"] < 20_000
    assert found["path"] == str(tmp_path / "cache" / "features")
    assert runner.invoke(main, ["cache", "clear"]).stdout == "2 entries removed\n"
    assert json.loads(runner.invoke(main, ["cache", "info", "--json"]).stdout)["entries"] == 0


def test_a_wrong_limit_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEN_BENCH_CACHE_GB", "much")
    done = CliRunner().invoke(main, ["cache", "info"])
    assert done.exit_code == 1
    assert done.stderr == "error: IMAGEN_BENCH_CACHE_GB is 'much': expected a number of gigabytes, such as 20\n"
