"""Statistics of a reference set by one, two and three workers: the same bytes, and the work is shared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imagen_bench.bench import reference_pass
from imagen_bench.bench.reference_pass import SharedPass, help_main
from imagen_bench.bench.run import run_benchmark
from imagen_bench.config import RunConfig
from imagen_bench.data.references import FolderImageSet
from imagen_bench.errors import InputError
from imagen_bench.workers import Workers

IMAGES = 150

# Groups of forked workers that find each other as under torchrun; each prints how many images it extracted, and the
# main one writes the statistics. Claims of 8 images and meetings after each worker's first, so that there are many.
DRIVER = """
import os, socket, sys, time
from pathlib import Path
import numpy, toy_bench
from safetensors.numpy import save_file
import torch.distributed
import imagen_bench.metrics.feature_store, imagen_bench.data.references
from imagen_bench.bench import reference_pass
from imagen_bench.bench.reference import ReferenceNeeds, open_reference, reference_images
from imagen_bench.bench.reference_pass import SharedPass, help_main
from imagen_bench.metrics.statistics import save_statistics
from imagen_bench.workers import join_workers

images, out = sys.argv[1], Path(sys.argv[2])
reference_pass._CLAIMS_A_MEETING = 2

class Slow(toy_bench.StubExtractor):
    def image_features(self, images):
        time.sleep(0.01)
        return super().image_features(images)

def work(rank, count, port):
    given = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in given.items()})
    os.environ["IMAGEN_BENCH_HOME"] = str(out / f"home{count}")
    workers, spaces = join_workers(), {"stub": Slow()}
    if workers.is_main:
        shared = SharedPass(workers)
        found = open_reference(images, ReferenceNeeds(spaces, ("stub",), ("stub",)), batch_size=2, extract=shared)
        shared.finish()
        save_statistics(out / f"{count}.safetensors", found.moments["stub"])
        save_file({"features": numpy.ascontiguousarray(found.features["stub"])}, out / f"{count}-features.safetensors")
    else:
        help_main(workers, lambda: reference_images(images), lambda: spaces)
    os.write(1, f"{count} {rank} {spaces['stub'].images_seen}{os.linesep}".encode())
    if count > 1:
        torch.distributed.barrier()
    os._exit(0)

for count in (1, 2, 3):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    children = []
    for rank in range(count):
        child = os.fork()
        if child == 0:
            work(rank, count, port)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(codes):
        sys.exit(f"{count} workers ended with {codes}")
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    for number in range(IMAGES):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder


def test_any_number_of_workers_gives_the_same_bytes_and_each_works(images: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["tests/toys", "."]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(images), str(tmp_path)],
        capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in ("{}.safetensors", "{}-features.safetensors"):
        alone = (tmp_path / name.format(1)).read_bytes()
        assert (tmp_path / name.format(2)).read_bytes() == alone
        assert (tmp_path / name.format(3)).read_bytes() == alone
    seen: dict[str, dict[str, int]] = {}
    for count, rank, number in (line.split() for line in done.stdout.splitlines()):
        seen.setdefault(count, {})[rank] = int(number)
    # Both the moments and the features come from one pass.
    assert {count: sum(by_rank.values()) for count, by_rank in seen.items()} == dict.fromkeys("123", IMAGES)
    assert all(0 < number < IMAGES for count in "23" for number in seen[count].values())


def test_the_statistics_are_those_of_numpy(toy: RunConfig, tmp_path: Path) -> None:
    from imagen_bench.metrics.statistics import load_statistics

    run = run_benchmark(toy, tmp_path / "run", limit=2)
    (file,) = run.path.glob("features/*/reference.safetensors")
    found = load_statistics(file)
    pixels = [np.asarray(Image.open(path), dtype=np.float64) for path in sorted((tmp_path / "reference").iterdir())]
    rows = [[*image.mean(axis=(0, 1)), image[0, 0, 0]] for image in pixels]
    features = (np.array(rows).astype(np.float32) / np.float32(255) + np.float32(0.01)).astype(np.float64)
    np.testing.assert_allclose(found.mean, features.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.covariance, np.cov(features, rowvar=False), rtol=1e-4, atol=1e-9)


class _Told(Workers):
    """A worker whose main one has said some things."""

    def __init__(self, *tasks: Any) -> None:
        super().__init__(rank=1, count=2)
        object.__setattr__(self, "tasks", list(tasks))

    def from_main(self, make: Any) -> Any:
        return self.tasks.pop(0)  # type: ignore[attr-defined]


def task_of(images: FolderImageSet) -> reference_pass._Task:
    return reference_pass._Task(len(images), images.hashes, ("stub",), 2)


def test_a_worker_that_sees_other_images_says_so(images: Path, tmp_path: Path) -> None:
    task = task_of(FolderImageSet(images))
    one = tmp_path / "one"
    one.mkdir()
    (one / "a.png").write_bytes((images / "000.png").read_bytes())
    with pytest.raises(InputError, match=r"worker 1 sees 1 of the 150 reference images .*all nodes see it"):
        help_main(_Told(task), lambda: FolderImageSet(one), dict)
    with pytest.raises(InputError, match=r"worker 1 sees none of the 150 reference images"):
        help_main(_Told(task), lambda: None, dict)
    opened: list[str] = []
    help_main(_Told(None), lambda: opened.append("images"), lambda: opened.append("extractors") or {})  # type: ignore[func-returns-value]
    assert opened == []


def test_a_reference_that_is_cached_is_not_read_again(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "toys"))
    import toy_bench

    from imagen_bench.bench.reference import ReferenceNeeds, open_reference

    asked: list[object] = []

    class Alone(Workers):
        def from_main(self, make: Any) -> Any:
            asked.append(make())
            return asked[-1]

    extractor = toy_bench.StubExtractor()
    needs = ReferenceNeeds({"stub": extractor}, ("stub",))
    first, again = (open_reference(str(images), needs, extract=SharedPass(Alone())) for _ in range(2))
    assert extractor.images_seen == IMAGES
    assert len(asked) == 1
    assert json.dumps(first.describe()) == json.dumps(again.describe())
    np.testing.assert_array_equal(first.moments["stub"].covariance, again.moments["stub"].covariance)
