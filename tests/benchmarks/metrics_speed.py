"""How fast images are scored, as ratios to torch-fidelity with the same images and weights.

    python tests/benchmarks/metrics_speed.py --images 64 --side 256 --threads 2 --out metrics_speed.json

What is measured:
- images/s of each stage: decoding, each resize mode, the Inception network, the CLIP image tower;
- FID + KID + IS here, one pass over both sets, against `torch_fidelity.calculate_metrics`;
- the same and the CLIP score here, one pass, against torch-fidelity and then a separate CLIP pass by open_clip;
- FID from saved statistics by symmetric eigenvalues against scipy's general matrix root;
- memory of FID at N and at 4 N features.

Weights are random numbers in the real format, unless `--inception` names a file: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

CLIP = "ViT-B-32-quickgelu"
KID = {"subsets": 10, "subset_size": 8}
MEMORY_CODE = """
import re, sys
import numpy as np
from imagen_bench.metrics.base import FeatureBatch, MetricContext, metrics
from imagen_bench.metrics.statistics import GaussianStatistics
dim, count = int(sys.argv[1]), int(sys.argv[2])
reference = GaussianStatistics(np.zeros(dim), np.eye(dim), 50_000, "x", "d", "normal")
metric = metrics.get("fid")(MetricContext("x", reference))
rng = np.random.default_rng(0)
for start in range(0, count, 500):
    rows = rng.standard_normal((500, dim), dtype=np.float32)
    metric.update(FeatureBatch(rows, [str(start + row) for row in range(500)]))
metric.compute()
# Of this program alone: getrusage counts what the process was before it became this program, too.
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1)) // 1024)
"""


def timed(work: Callable[[], object], repeats: int) -> float:
    """Return the least seconds of several runs, after one that counts for nothing; with 0 repeats, of the first."""
    seconds = []
    if repeats:
        work()
    for _ in range(repeats or 1):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def write_pictures(folder: Path, count: int, side: int, seed: int) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for index in range(count):
        small = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
        small.resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{index:05}.png")
    return folder


def write_weights(folder: Path) -> tuple[Path, Path]:
    """Write random weights of the Inception network and of CLIP ViT-B/32."""
    import conftest
    import open_clip
    from safetensors.torch import save_file

    from imagen_bench.metrics.inception import InceptionWeights

    network = InceptionWeights.__new__(InceptionWeights)
    torch.nn.Module.__init__(network)
    with torch.device("meta"):
        network._build()
    generator = torch.Generator().manual_seed(0)
    state = {key: conftest.random_weight(key, t, generator) for key, t in network.state_dict().items()}
    torch.save(state, folder / "inception.pth")
    clip = open_clip.create_model(CLIP, load_weights=False)
    save_file(clip.state_dict(), folder / "clip.safetensors")
    return folder / "inception.pth", folder / "clip.safetensors"


class Task:
    """Images, weights and the ways to score them."""

    def __init__(self, root: Path, arguments: argparse.Namespace) -> None:
        self.count, self.batch = arguments.images, arguments.batch
        self.device = arguments.device
        self.made = write_pictures(root / "made", arguments.images, arguments.side, 1)
        self.real = write_pictures(root / "real", arguments.images, arguments.side, 2)
        self.inception, self.clip = write_weights(root)
        if arguments.inception:
            self.inception = Path(arguments.inception)
        self.captions = root / "captions.txt"
        self.captions.write_text("".join(f"a picture of number {index}\n" for index in range(self.count)))
        self.root = root

    def ours(self, metrics: tuple[str, ...]) -> None:
        """Score here; the data folder is a fresh one, so that nothing comes from the cache."""
        import os

        from imagen_bench.bench.score_folder import ScoreOptions, score_folder
        from imagen_bench.metrics.weights import WeightsPlaces

        with tempfile.TemporaryDirectory() as home:
            os.environ["IMAGEN_BENCH_HOME"] = home
            score_folder(
                ScoreOptions(
                    images=self.made,
                    reference=str(self.real),
                    captions=self.captions if "clip_score" in metrics else None,
                    extractor=f"{CLIP}/{self.clip}",
                    metrics=metrics,
                    batch_size=self.batch,
                    device=self.device,
                    weights=WeightsPlaces({"inception": str(self.inception)}),
                    metric_options={"kid": KID},
                )
            )

    def fidelity(self) -> None:
        from torch_fidelity import calculate_metrics

        calculate_metrics(
            input1=str(self.made),
            input2=str(self.real),
            cuda=self.device != "cpu",
            batch_size=self.batch,
            fid=True,
            kid=True,
            isc=True,
            kid_subsets=KID["subsets"],
            kid_subset_size=KID["subset_size"],
            feature_extractor_weights_path=str(self.inception),
            cache=False,
            verbose=False,
            save_cpu_ram=self.device == "cpu",
        )

    def clip_alone(self) -> None:
        """The CLIP score as a script with open_clip computes it."""
        import open_clip

        model, _, prepare = open_clip.create_model_and_transforms(CLIP, pretrained=str(self.clip))
        model = model.eval().to(self.device)
        files = sorted(self.made.iterdir())
        tokens = open_clip.get_tokenizer(CLIP)(self.captions.read_text().splitlines())
        with torch.no_grad():
            for start in range(0, self.count, self.batch):
                part = [prepare(Image.open(file)) for file in files[start : start + self.batch]]
                image = model.encode_image(torch.stack(part).to(self.device))
                text = model.encode_text(tokens[start : start + self.batch].to(self.device))
                torch.cosine_similarity(image, text).mean().item()


def stages(task: Task, repeats: int) -> dict[str, float]:
    """Return images/s of decoding, of each resize mode, of the networks here and of torch-fidelity's."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    from imagen_bench.images import read_image
    from imagen_bench.metrics.extractors import open_extractor
    from imagen_bench.metrics.inception import InceptionNetwork, InceptionWeights
    from imagen_bench.metrics.resize import RESIZE_MODES, prepare_for, to_network_input

    files = sorted(task.made.iterdir())[: task.batch]
    images = [read_image(file) for file in files]
    device = torch.device(task.device)
    stacked = torch.stack(images).to(device)
    weights = InceptionWeights(task.inception, device)
    network = InceptionNetwork(weights, RESIZE_MODES["torch-fidelity"])
    theirs = FeatureExtractorInceptionV3(
        "x", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(task.inception)
    ).to(device)
    clip = open_extractor(f"{CLIP}/{task.clip}", task.device)

    def resize(mode: Any) -> None:
        to_network_input(mode, torch.stack([prepare_for(mode, image) for image in images]).to(device))

    def run_theirs() -> None:
        with torch.no_grad():
            theirs(stacked)

    work: dict[str, Callable[[], object]] = {
        "decode": lambda: [read_image(file) for file in files],
        **{f"resize {name}": lambda mode=mode: resize(mode) for name, mode in RESIZE_MODES.items()},
        "inception (2048 and logits, with resize)": lambda: network.forward(images, ["2048", "logits"]),
        "inception of torch-fidelity (the same)": run_theirs,
        "clip image tower (with resize)": lambda: clip.image_features(images),
    }
    return {name: len(files) / timed(one, repeats) for name, one in work.items()}


def distance_ratio(dim: int) -> dict[str, float]:
    """Return seconds of FID from statistics here and with scipy's `sqrtm`, and the relative difference."""
    from scipy.linalg import sqrtm

    from imagen_bench.metrics.frechet import frechet_distance

    rng = np.random.default_rng(0)
    sets = [rng.standard_normal((3 * dim, dim)) @ np.diag(rng.uniform(0.2, 2, dim)) for _ in range(2)]
    (m1, s1), (m2, s2) = ((x.mean(axis=0), np.cov(x, rowvar=False)) for x in sets)

    def by_scipy() -> float:
        difference = m1 - m2
        return float(difference @ difference + np.trace(s1 + s2 - 2 * np.real(sqrtm(s1 @ s2))))

    ours, theirs = frechet_distance(m1, s1, m2, s2), by_scipy()
    a, b = timed(lambda: frechet_distance(m1, s1, m2, s2), 1), timed(by_scipy, 1)
    return {"ours_s": a, "scipy_s": b, "ratio": b / a, "relative_difference": abs(ours - theirs) / theirs}


def fid_memory(dim: int, counts: tuple[int, int]) -> dict[str, float]:
    """Return the peak memory in MB of FID at two numbers of images."""
    found = {}
    for count in counts:
        done = subprocess.run(
            [sys.executable, "-c", MEMORY_CODE, str(dim), str(count)], capture_output=True, text=True, check=True
        )
        found[f"n={count}"] = float(done.stdout)
    found["difference"] = abs(found[f"n={counts[0]}"] - found[f"n={counts[1]}"])
    return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        task = Task(Path(folder), arguments)
        three = ("fid", "kid", "inception_score")
        ours, all_ours = (timed(lambda names=names: task.ours(names), arguments.repeats) for names in (
            three, (*three, "clip_score")
        ))  # fmt: skip
        theirs = timed(task.fidelity, arguments.repeats)
        separate = theirs + timed(task.clip_alone, arguments.repeats)
        result: dict[str, Any] = {
            "images": 2 * arguments.images,
            "side": arguments.side,
            "device": arguments.device,
            "threads": torch.get_num_threads(),
            "images_per_second": stages(task, arguments.repeats),
            "fid_kid_is": {"ours_s": ours, "torch_fidelity_s": theirs, "ratio": theirs / ours},
            "with_clip_score": {"ours_s": all_ours, "two_passes_s": separate, "ratio": separate / all_ours},
        }
    rates = result["images_per_second"]
    pair = ("inception (2048 and logits, with resize)", "inception of torch-fidelity (the same)")
    result["inception_ratio"] = rates[pair[0]] / rates[pair[1]]
    result["distance"] = distance_ratio(arguments.dim)
    result["fid_memory_mb"] = fid_memory(arguments.dim, (arguments.memory, 4 * arguments.memory))
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=64, help="images of each of the two sets")
    parser.add_argument("--side", type=int, default=256, help="width and height")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 leaves its own choice")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dim", type=int, default=2048, help="dimensions of the distance from statistics")
    parser.add_argument("--memory", type=int, default=10_000, help="features of the smaller memory run")
    parser.add_argument("--inception", help="weights file instead of random numbers")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    text = json.dumps(measure(arguments), indent=2)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
