"""Speed, memory and work of this Imagen beside other implementations, measured in one run, on the CPU or a GPU.

    python tests/benchmarks/imagen_speed.py [--rounds 5] [--shape base] [--quick] [--threads 2] [--out FOLDER]
    python tests/benchmarks/imagen_speed.py --device cuda --precision bf16 --batch 64

Every implementation runs in a process of its own; rounds are interleaved, so that a machine that slows down slows all
of them. Absolute times depend on the machine; compare the ratios. The others come from
`pip install --no-deps -r tests/benchmarks/peers.txt`; one that is not installed is left out. Prints a
Markdown table and writes it with all times to FOLDER. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from imagen_peers import BASE, BASE_ADM, EFFICIENT, PEERS, QUICK_BASE, QUICK_EFFICIENT, Shape, residual_blocks
from torch.utils.flop_counter import FlopCounterMode

STEPS = 24
REPEATS = {"forward": 5, "training": 3, "sampling": 1}
COLUMNS = (
    "implementation",
    "residual blocks",
    "parameters, M",
    "GFLOP/img",
    "forward ms/img median (min)",
    "GFLOP/s (share of matmul's)",
    "forward + backward ms/img median (min)",
    "images/s, 24 steps, w = 3, median (max)",
    "peak memory, GiB",
    "forward, training, sampling: times as long as ours of that layout",
)


def shapes_of(options: argparse.Namespace) -> dict[str, Shape]:
    """The chosen shapes by name; small ones for a quick look at whether everything runs."""
    shapes = (QUICK_BASE, QUICK_EFFICIENT) if options.quick else (BASE, BASE_ADM, EFFICIENT)
    chosen = [shape for shape in shapes if not options.shape or shape.name in options.shape]
    return {shape.name: replace(shape, device=options.device, batch=options.batch or shape.batch) for shape in chosen}


def measure(name: str, shape: Shape, threads: int, quick: bool, precision: str = "float32") -> dict[str, Any]:
    """Measures one implementation in this process; times are seconds a call."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    subject = PEERS[name].build(shape)
    network = subject.network.eval()
    repeats = dict.fromkeys(REPEATS, 1) if quick else REPEATS
    mixed = torch.autocast(torch.device(shape.device).type, torch.bfloat16, enabled=precision == "bf16")
    with torch.inference_mode(), mixed:
        with FlopCounterMode(display=False) as counter:
            subject.forward()
        forward = seconds_of(subject.forward, repeats["forward"])
        sampled = subject.sample
        sampling = [] if sampled is None else seconds_of(lambda: sampled(STEPS), repeats["sampling"], warm=False)

    def step() -> None:
        network.zero_grad(set_to_none=True)
        with mixed:
            loss = subject.forward().square().mean()
        loss.backward()

    network.train()
    training = seconds_of(step, repeats["training"])
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "residual_blocks": residual_blocks(network),
        "flop_per_image": counter.get_total_flops() / shape.batch,
        "note": subject.note,
        "peak_bytes": peak_bytes(),
        "matmul_flop_per_second": matmul_speed(shape.device, precision, 256 if quick else 4096),
        "forward": forward,
        "training": training,
        "sampling": sampling,
    }


def peak_bytes() -> int:
    """Most memory of this process so far: what torch had allocated on the GPU where it used one, else resident."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def matmul_speed(device: str, precision: str, size: int) -> float:
    """FLOP/s of a product of two large square matrices: what the machine can do, whatever its data sheet says."""
    a = torch.ones(size, size, device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    return 2.0 * size**3 / min(seconds_of(lambda: a @ a, 3))


def seconds_of(work: Callable[[], object], repeats: int, warm: bool = True) -> list[float]:
    """Duration of each run, after one that warms up; a GPU's queue is empty at both ends."""

    def finish() -> None:
        work()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()

    if warm:
        finish()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        finish()
        times.append(time.perf_counter() - started)
    return times


def run_round(name: str, shape: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """Measures in a new process; None, and one line on stderr, where that fails."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, __file__, "--threads", str(options.threads), "--worker", name, shape, str(result)]
        command += ["--device", options.device, "--precision", options.precision, "--batch", str(options.batch)]
        command += ["--quick"] if options.quick else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return json.loads(result.read_text(encoding="utf-8"))
    last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    sys.stderr.write(f"{name}, {shape}: left out: {last}\n")
    return None


def summarise(name: str, shape: Shape, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """One row of the table: medians and best values over all runs of all rounds."""
    times = {kind: [value for row in rounds for value in row[kind]] for kind in REPEATS}
    per_image = {kind: [1000 * value / shape.batch for value in values] for kind, values in times.items()}
    rates = [shape.batch / value for value in times["sampling"]]
    row = {
        "implementation": name,
        "version": PEERS[name].version,
        "note": rounds[0]["note"],
        "residual_blocks": rounds[0]["residual_blocks"],
        "parameters": rounds[0]["parameters"],
        "gflop_per_image": rounds[0]["flop_per_image"] / 1e9,
        "peak_gib": max(row["peak_bytes"] for row in rounds) / 2**30,
        "forward_ms": statistics.median(per_image["forward"]),
        "forward_ms_min": min(per_image["forward"]),
        "training_ms": statistics.median(per_image["training"]),
        "training_ms_min": min(per_image["training"]),
        "images_per_second": statistics.median(rates) if rates else None,
        "images_per_second_max": max(rates) if rates else None,
        "seconds": times,
    }
    speed = row["gflop_per_image"] / row["forward_ms"] * 1000
    matmul = max(row["matmul_flop_per_second"] for row in rounds) / 1e9
    return row | {"gflop_per_second": speed, "share_of_matmul": speed / matmul}


def add_ratios(rows: list[dict[str, Any]]) -> None:
    """Adds how much longer each takes than ours of its layout (above 1: ours is faster), in medians of the same run."""
    by_name = {row["implementation"]: row for row in rows}
    for row in rows:
        mine = by_name.get(PEERS[row["implementation"]].rival)
        if mine is None:
            continue
        ratios = {kind: row[f"{kind}_ms"] / mine[f"{kind}_ms"] for kind in ("forward", "training")}
        if row["images_per_second"] and mine["images_per_second"]:
            ratios["sampling"] = mine["images_per_second"] / row["images_per_second"]
        row["ratio_to_ours"] = ratios | {"peak": row["peak_gib"] / mine["peak_gib"]}


def to_markdown(shape: Shape, rows: list[dict[str, Any]]) -> str:
    """The table of a shape."""
    lines = [
        f"### {shape.name}, {shape.size}x{shape.size}, batch {shape.batch}, {shape.dim} channels x {shape.mults}, "
        f"blocks {shape.blocks}, {shape.adm_blocks} of ADM's kind",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
    ]
    for row in rows:
        rate = row["images_per_second"]
        ratios = row.get("ratio_to_ours", {})
        cells = [
            f"{row['implementation']} {row['version']} ({row['note']})",
            str(row["residual_blocks"]),
            f"{row['parameters'] / 1e6:.1f}",
            f"{row['gflop_per_image']:.1f}",
            f"{row['forward_ms']:.0f} ({row['forward_ms_min']:.0f})",
            f"{row['gflop_per_second']:.0f} ({row['share_of_matmul']:.0%})",
            f"{row['training_ms']:.0f} ({row['training_ms_min']:.0f})",
            f"{rate:.3f} ({row['images_per_second_max']:.3f})" if rate else "-",
            f"{row['peak_gib']:.2f}",
            ", ".join(f"{ratios[kind]:.2f}" for kind in REPEATS if kind in ratios) or "-",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def machine(threads: int, device: str) -> dict[str, Any]:
    """What the numbers were measured on."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if (info.is_file())
        else []
    )
    return {
        "gpu": torch.cuda.get_device_name(device) if device.startswith("cuda") else None,
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": len(names) or None,
        "threads": threads,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def compare(options: argparse.Namespace) -> None:
    """Measures all rounds, prints the tables and writes both files."""
    shapes = shapes_of(options)
    jobs = [(shape, name) for shape in shapes for name, peer in PEERS.items() if shape in peer.shapes]
    for name in sorted({name for _, name in jobs if not PEERS[name].version}):
        sys.stderr.write(f"{name}: not installed, left out (pip install --no-deps -r tests/benchmarks/peers.txt)\n")
    measured: dict[tuple[str, str], list[dict[str, Any]]] = {job: [] for job in jobs if PEERS[job[1]].version}
    for number in range(options.rounds):
        for shape, name in list(measured):
            sys.stderr.write(f"round {number + 1} of {options.rounds}: {name}, {shape}\n")
            result = run_round(name, shape, options)
            if result is None:
                del measured[shape, name]
            else:
                measured[shape, name].append(result)
    where, tables, result = machine(options.threads, options.device), [], {}
    for shape_name, shape in shapes.items():
        rows = [
            summarise(name, shape, rounds) for (of, name), rounds in measured.items() if of == shape_name and rounds
        ]
        add_ratios(rows)
        result[shape_name] = rows
        tables.append(to_markdown(shape, rows))
    place = where["gpu"] or f"{where['cpu']}, {where['threads']} threads"
    head = f"{place}, {options.precision}, torch {where['torch']}, {options.rounds} rounds"
    text = "\n".join([head + (" (quick: small shapes, no numbers to quote)" if options.quick else ""), "", *tables])
    sys.stdout.write(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "imagen_speed.md").write_text(text, encoding="utf-8")
    content = {"machine": where, "rounds": options.rounds, "quick": options.quick, "steps": STEPS, "shapes": result}
    content |= {"precision": options.precision}
    (options.out / "imagen_speed.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Reads the options; with --worker measures one implementation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shape", action="append", choices=("base", "base-adm", "efficient"), help="only this")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32", help="bf16: autocast")
    parser.add_argument("--batch", type=int, default=0, help="images a batch; 0: the shape's own")
    parser.add_argument("--quick", action="store_true", help="small shapes and one repeat, to see that all of it runs")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--worker", nargs=3, metavar=("NAME", "SHAPE", "RESULT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is None:
        compare(options)
        return
    name, shape, result = options.worker
    row = measure(name, shapes_of(options)[shape], options.threads, options.quick, options.precision)
    Path(result).write_text(json.dumps(row), encoding="utf-8")


if __name__ == "__main__":
    main()
