"""The cache serves what was put under exactly this key, and nothing else, whatever happens to its files."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagen_bench.data.references import open_image_set
from imagen_bench.errors import ConfigError
from imagen_bench.metrics import feature_key
from imagen_bench.metrics.feature_key import FeatureKey, features_key, statistics_key, text_key
from imagen_bench.metrics.feature_store import FeatureStore
from imagen_bench.metrics.statistics import GaussianStatistics

VERSIONS = {"torch": "2.0"}
ARRAY = np.arange(12, dtype=np.float32).reshape(4, 3)


def write_images(folder: Path, count: int = 3) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (6, 5), (number, 20, 30)).save(folder / f"{number}.png")
    return folder


def key_of(folder: Path, preprocessing: str = "", extractor: str = "net-weights1") -> FeatureKey:
    return features_key(open_image_set(folder).hashes, preprocessing, extractor)


def store(tmp_path: Path, limit_bytes: int = 10**9) -> FeatureStore:
    return FeatureStore(tmp_path / "cache", limit_bytes)


def test_what_was_put_comes_back(tmp_path: Path) -> None:
    key = key_of(write_images(tmp_path / "set"))
    assert store(tmp_path).get(key) is None
    assert store(tmp_path).put(key, {"features": ARRAY, "n": np.array([4])})
    found = store(tmp_path).get(key)
    assert found is not None
    np.testing.assert_array_equal(found["features"], ARRAY)
    assert found["features"].dtype == np.float32
    assert found["n"].tolist() == [4]


def change_a_pixel(folder: Path) -> None:
    with Image.open(folder / "1.png") as image:
        image.putpixel((2, 2), (9, 9, 9))
        image.save(folder / "1.png")


def keep_size_and_time(folder: Path) -> None:
    """Change content alone: what a cache keyed by name, size and time cannot see."""
    file = folder / "1.png"
    data, stat = bytearray(file.read_bytes()), file.stat()
    data[-20] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def swap_two_files(folder: Path) -> None:
    (folder / "0.png").rename(folder / "t.png")
    (folder / "1.png").rename(folder / "0.png")
    (folder / "t.png").rename(folder / "1.png")


@pytest.mark.parametrize(
    "change",
    [
        change_a_pixel,
        keep_size_and_time,
        swap_two_files,
        lambda folder: (folder / "2.png").unlink(),
        lambda folder: (folder / "3.png").write_bytes((folder / "2.png").read_bytes()),
    ],
    ids=["pixel", "content alone", "order", "one less", "one more"],
)
def test_a_changed_folder_is_never_served(tmp_path: Path, change: Callable[[Path], None]) -> None:
    folder = write_images(tmp_path / "set")
    store(tmp_path).put(key_of(folder), {"features": ARRAY})
    change(folder)
    assert store(tmp_path).get(key_of(folder)) is None


def test_a_renamed_or_moved_folder_is_served(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "set")
    store(tmp_path).put(key_of(folder), {"features": ARRAY})
    moved = folder.rename(tmp_path / "other name")
    assert store(tmp_path).get(key_of(moved)) is not None


def test_moments_do_not_depend_on_the_order_of_the_files(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "set")
    before = statistics_key(open_image_set(folder).hashes, "", "net")
    swap_two_files(folder)
    assert statistics_key(open_image_set(folder).hashes, "", "net").digest == before.digest
    change_a_pixel(folder)
    assert statistics_key(open_image_set(folder).hashes, "", "net").digest != before.digest


def test_every_part_of_the_key_counts(tmp_path: Path) -> None:
    key = FeatureKey("features", "a", "crop-256", "net-pil-weights1", VERSIONS)
    store(tmp_path).put(key, {"features": ARRAY})
    others = [
        {"sources": "b"},
        {"preprocessing": "crop-128"},
        {"extractor": "net-tf1-weights1"},
        {"extractor": "net-pil-weights2"},
        {"versions": {"torch": "2.1"}},
        {"versions": {**VERSIONS, "pillow": "11"}},
        {"kind": "text"},
    ]
    for change in others:
        assert store(tmp_path).get(dataclasses.replace(key, **change)) is None, change
    assert store(tmp_path).get(key) is not None
    assert len({dataclasses.replace(key, **change).digest for change in others} | {key.digest}) == len(others) + 1


def test_the_versions_name_libraries_codecs_and_own_code(tmp_path: Path) -> None:
    found = text_key(["a cat"], "net").versions
    assert {"torch", "torchvision", "pillow", "numpy", "imagen-bench", "libjpeg_turbo", "code"} <= set(found)
    package = tmp_path / "package"
    (package / "data").mkdir(parents=True)
    (package / "metrics").mkdir()
    for name in ("images.py", "data/a.py", "metrics/b.py"):
        (package / name).write_text("x = 1\n")
    before = feature_key._code_digest(package)
    (package / "metrics" / "b.py").write_text("x = 2\n")
    assert feature_key._code_digest(package) != before


@pytest.mark.parametrize("keep", [0, 7, 100, -1, -40])
def test_a_torn_entry_is_not_served(tmp_path: Path, keep: int) -> None:
    key = FeatureKey("features", "a", "", "net", VERSIONS)
    store(tmp_path).put(key, {"features": ARRAY})
    path = store(tmp_path).path(key)
    path.write_bytes(path.read_bytes()[:keep])
    assert store(tmp_path).get(key) is None
    assert store(tmp_path).put(key, {"features": ARRAY})
    assert store(tmp_path).get(key) is not None


def test_no_flipped_bit_is_served(tmp_path: Path) -> None:
    key = FeatureKey("features", "a", "", "net", VERSIONS)
    store(tmp_path).put(key, {"features": ARRAY})
    path = store(tmp_path).path(key)
    whole = path.read_bytes()
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 4
        path.write_bytes(data)
        found = store(tmp_path).get(key)
        # A blank of the header may change without changing what it says.
        assert found is None or np.array_equal(found["features"], ARRAY), place


def test_an_entry_under_another_ones_name_is_not_served(tmp_path: Path) -> None:
    one, other = (FeatureKey("features", name, "", "net", VERSIONS) for name in "ab")
    store(tmp_path).put(one, {"features": ARRAY})
    path = store(tmp_path).path(other)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(store(tmp_path).path(one).read_bytes())
    assert store(tmp_path).get(other) is None


WRITER = """
import sys
from pathlib import Path
import numpy as np
from imagen_bench.metrics.feature_key import FeatureKey
from imagen_bench.metrics.feature_store import FeatureStore
store = FeatureStore(Path(sys.argv[1]), 10**10)
key = FeatureKey("features", "a", "", "net", {"torch": "2.0"})
print("ready", flush=True)
for number in range(int(sys.argv[2])):
    store.put(key, {"features": np.full((400_000, 8), int(sys.argv[3]) + number, dtype=np.float32)})
"""


def start_writer(folder: Path, times: int, value: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(folder), str(times), str(value)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as stream:
        assert stream.readline() == b"ready\n"
    return process


def whole_or_nothing(tmp_path: Path) -> bool:
    """Return whether there is an entry; it must be one of those written, complete."""
    found = store(tmp_path).get(FeatureKey("features", "a", "", "net", VERSIONS))
    if found is None:
        return False
    assert found["features"].shape == (400_000, 8)
    assert len(np.unique(found["features"])) == 1
    return True


def test_a_process_killed_while_writing_leaves_the_old_entry_or_the_new_one(tmp_path: Path) -> None:
    left = 0
    for attempt in range(3):
        process = start_writer(tmp_path / "cache", 1000, 10 * attempt)
        # Killed while a file is on its way: as soon as its temporary name is seen.
        end = time.monotonic() + 20
        while not list((tmp_path / "cache").glob("??/.tmp-*")) and time.monotonic() < end:
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        whole_or_nothing(tmp_path)
        left += len(list((tmp_path / "cache").glob("??/.tmp-*")))
        for temporary in (tmp_path / "cache").glob("??/.tmp-*"):
            old = time.time() - 2 * 86_400
            os.utime(temporary, (old, old))
        store(tmp_path).prune()
        assert not list((tmp_path / "cache").glob("??/.tmp-*"))
    assert left > 0, "no kill came in the middle of a write"


def test_two_processes_may_write_one_entry_at_once(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path / "cache", 5, value) for value in (0, 100)]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        seen += whole_or_nothing(tmp_path)
    assert [writer.wait() for writer in writers] == [0, 0]
    assert whole_or_nothing(tmp_path)
    assert seen > 0


def test_features_are_extracted_once(tmp_path: Path) -> None:
    calls = []

    def extract() -> np.ndarray:
        calls.append(1)
        return ARRAY.astype(np.float64)

    key = FeatureKey("features", "a", "", "net", VERSIONS)
    first, second = (store(tmp_path).features(key, extract) for _ in range(2))
    assert len(calls) == 1
    np.testing.assert_array_equal(first, second)
    assert second.dtype == np.float32


def test_statistics_come_back_under_the_name_of_today(tmp_path: Path) -> None:
    made = GaussianStatistics(np.arange(3.0), np.eye(3) / 3, 17, "net", "d" * 64, "old name")
    key = FeatureKey("statistics", "a", "", "net", VERSIONS)
    assert store(tmp_path).statistics(key, "old name", lambda: made) is made
    found = store(tmp_path).statistics(key, "new name", lambda: pytest.fail("made again"))
    np.testing.assert_array_equal(found.mean, made.mean)
    np.testing.assert_array_equal(found.covariance, made.covariance)
    assert (found.n, found.digest, found.extractor_id, found.name) == (17, "d" * 64, "net", "new name")


def test_the_entry_used_longest_ago_makes_room(tmp_path: Path) -> None:
    keys = [FeatureKey("features", name, "", "net", VERSIONS) for name in "abc"]
    array = np.zeros((100, 100), dtype=np.float32)
    for age, key in zip((300, 200), keys[:2], strict=True):
        store(tmp_path).put(key, {"features": array})
        os.utime(store(tmp_path).path(key), (time.time() - age,) * 2)
    assert store(tmp_path).get(keys[0]) is not None  # used now
    store(tmp_path, 100_000).put(keys[2], {"features": array})
    assert [store(tmp_path).get(key) is not None for key in keys] == [True, False, True]
    store(tmp_path, 10).put(keys[2], {"features": array})
    assert [store(tmp_path).get(key) is not None for key in keys] == [False, False, True]
    assert store(tmp_path).clear() == 1
    assert store(tmp_path).entries() == []


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    broken = store(tmp_path)
    key = FeatureKey("features", "a", "", "net", VERSIONS)
    np.testing.assert_array_equal(broken.features(key, lambda: ARRAY), ARRAY)
    assert len(broken.problems) == 1
    assert "cannot be written" in broken.problems[0]


def test_the_limit_is_read_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IMAGEN_BENCH_CACHE_GB", "1.5")
    found = FeatureStore()
    assert found.limit_bytes == 1_500_000_000
    assert found.root == tmp_path / "home" / "cache" / "features"
    monkeypatch.setenv("IMAGEN_BENCH_CACHE_GB", "lots")
    with pytest.raises(ConfigError, match=r"IMAGEN_BENCH_CACHE_GB is 'lots': expected a number of gigabytes"):
        FeatureStore()
