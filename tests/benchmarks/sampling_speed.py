"""Speed of the bundled model as ratios measured in one run: `make bench`.

Prints a table to stdout; absolute times depend on the machine, the ratios should not.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable

import torch

from imagen_bench.assets import asset
from imagen_bench.imagen.cascade import Sampling, sample_stage
from imagen_bench.imagen.checkpoint import load_stage
from imagen_bench.imagen.samplers import Sampler
from imagen_bench.imagen.text import TextEncoder

STEPS, BATCH, ROUNDS = 8, 8, 5


def median_seconds(work: Callable[[], object]) -> float:
    """Median of `ROUNDS` runs after one that warms up."""
    work()
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Measures and prints."""
    model = asset("models/imagen-emoji")
    stage, network = load_stage(model / "base")
    text = TextEncoder(model / "text_encoder")(["a red apple"] * BATCH)
    sampling, seeds = Sampling(Sampler("ddim", STEPS)), list(range(BATCH))
    z, log_snr = torch.randn(BATCH, 3, stage.image_size, stage.image_size), torch.zeros(BATCH)
    double = torch.cat([z, z]), torch.cat([log_snr, log_snr]), text.tokens.repeat(2, 1, 1), text.mask.repeat(2, 1)
    with torch.inference_mode():
        forward = median_seconds(lambda: network(z, log_snr, text.tokens, text.mask))
        both = median_seconds(lambda: network(*double))
        plain = median_seconds(lambda: sample_stage(network, stage, sampling, text, seeds, 1.0))
        guided = median_seconds(lambda: sample_stage(network, stage, sampling, text, seeds, 3.0))
    rows = [
        ("forward pass, ms an image", 1000 * forward / BATCH),
        ("one batched guided pass / two single passes", both / (2 * forward)),
        (f"sampling at w = 1 / {STEPS} forward passes (1 = no overhead)", plain / (STEPS * forward)),
        (f"sampling at w = 3 / {STEPS} guided passes (1 = no overhead)", guided / (STEPS * both)),
        ("cost of guidance: w = 3 / w = 1", guided / plain),
    ]
    machine = platform.processor() or platform.machine()
    header = f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    lines = [header, *(f"{name:58} {value:8.2f}" for name, value in rows)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
