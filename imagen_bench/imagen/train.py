"""Training of one stage: AdamW, warm-up, EMA, exact resume, loss log as CSV (Imagen, appendix F; recipe in the config).

Every step draws its data and noise from generators seeded by (seed, step), so a resumed run repeats the
uninterrupted one.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from imagen_bench.errors import ModelError
from imagen_bench.files import atomic_path
from imagen_bench.imagen.checkpoint import check_weights, save_stage
from imagen_bench.imagen.config import Frozen, StageConfig
from imagen_bench.imagen.efficient_unet import build_unet
from imagen_bench.imagen.loss import diffusion_loss
from imagen_bench.imagen.text import TextEncoder
from imagen_bench.images import to_model

LOG_COLUMNS = ("step", "samples", "loss", "loss_low", "loss_mid", "loss_high", "learning_rate", "seconds")
Batches = Callable[[int], tuple[Tensor, list[str]]]


class RecipeConfig(Frozen):
    """How a stage is trained.

    Attributes:
        steps: optimiser steps in all. The learning rate warms up over `warmup`, stays, and falls linearly to
            zero over the last `decay` steps.
        ema: decay of the exponential moving average of the weights, the weights that are saved and sampled.
        crop: side of random square crops of the training images (super-resolution), or None for whole images.
        checkpoint_every: steps between checkpoints that training can resume from.
    """

    steps: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    warmup: int = Field(default=200, ge=0)
    decay: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = Field(default=1.0, gt=0)
    ema: float = Field(default=0.9999, ge=0, lt=1)
    crop: int | None = None
    seed: int = 0
    log_every: int = Field(default=50, gt=0)
    checkpoint_every: int = Field(default=500, gt=0)


class Trainer:
    """Trains one stage and keeps everything that resuming needs in `out`.

    Args:
        stage: the stage to train.
        recipe: optimisation.
        batches: step -> (images uint8 NCHW, captions); must depend on the step alone.
        encoder: the frozen text encoder.
        out: folder of the training run: `stage/` (EMA weights for sampling), `state.safetensors`, `loss.csv`.
    """

    def __init__(
        self, stage: StageConfig, recipe: RecipeConfig, batches: Batches, encoder: TextEncoder, out: Path,
        device: torch.device | str = "cpu",
    ) -> None:  # fmt: skip
        if encoder.dim != stage.unet.text_dim:
            raise ModelError(
                f"the text encoder {encoder.source} gives {encoder.dim} channels, "
                f"the stage {stage.name} expects {stage.unet.text_dim}"
            )
        torch.manual_seed(recipe.seed)
        self.stage, self.recipe, self.batches, self.encoder, self.out = stage, recipe, batches, encoder, out
        self.device = torch.device(device)
        self.network = build_unet(stage.unet).to(self.device)
        self.ema = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=recipe.learning_rate,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
        )
        self.step, self.seconds = 0, 0.0

    def fit(self, on_step: Callable[[int, float], None] | None = None) -> None:
        """Trains up to `recipe.steps`, logging and saving on the way.

        Raises:
            ModelError: the loss is not finite; the last good checkpoint stays.
        """
        self.network.train()
        self.out.mkdir(parents=True, exist_ok=True)
        seen: list[tuple[float, float]] = []
        while self.step < self.recipe.steps:
            started = time.monotonic()
            losses, times = self._train_step()
            mean = losses.mean().item()
            if not math.isfinite(mean):
                raise ModelError(
                    f"the loss of {self.stage.name} became {mean} at step {self.step}: "
                    f"resume from {self.out} with a lower learning rate"
                )
            self.step += 1
            self.seconds += time.monotonic() - started
            seen += zip(times.tolist(), losses.tolist(), strict=True)
            if self.step % self.recipe.log_every == 0:
                self._log(seen)
                seen = []
            if self.step % self.recipe.checkpoint_every == 0 or self.step == self.recipe.steps:
                self.save()
            if on_step is not None:
                on_step(self.step, mean)

    def _train_step(self) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + self.step)
        pixels, captions = self.batches(self.step)
        x = to_model(pixels).to(self.device)
        if self.recipe.crop is not None:
            x = random_crop(x, self.recipe.crop, generator, self._crop_grid())
        text = self.encoder(captions).to(self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.recipe, self.step)
        losses, times = diffusion_loss(self.network, self.stage, x, text, generator)
        self.optimiser.zero_grad(set_to_none=True)
        losses.mean().backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimiser.step()
        self._update_ema()
        return losses.detach().cpu(), times.cpu()

    @torch.no_grad()
    def _update_ema(self) -> None:
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        names = list(self.ema)
        current = self.network.state_dict()
        torch._foreach_lerp_([self.ema[name] for name in names], [current[name] for name in names], 1.0 - decay)

    def _crop_grid(self) -> int:
        return 1 if self.stage.low_res_size is None else self.stage.image_size // self.stage.low_res_size

    def _log(self, seen: list[tuple[float, float]]) -> None:
        """Adds a row: mean loss, and the mean in each third of time, which tells detail, shape and layout apart."""
        thirds = [[loss for t, loss in seen if low <= t < low + 1 / 3] for low in (0.0, 1 / 3, 2 / 3)]
        means = [f"{sum(part) / max(len(part), 1):.5f}" for part in ([loss for _, loss in seen], *thirds)]
        path = self.out / "loss.csv"
        fresh = not path.exists()
        with path.open("a", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            if fresh:
                writer.writerow(LOG_COLUMNS)
            rate = f"{learning_rate(self.recipe, self.step):.6g}"
            writer.writerow([self.step, self.step * self.recipe.batch_size, *means, rate, f"{self.seconds:.1f}"])

    def save(self) -> None:
        """Writes the EMA stage for sampling, and the state for resuming."""
        save_stage(self.out / "stage", self.stage, self.ema)
        tensors: dict[str, Tensor] = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"ema.{name}": value for name, value in self.ema.items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{key}": value for key, value in state.items()}
        metadata = {"step": str(self.step), "seconds": f"{self.seconds:.3f}"}
        with atomic_path(self.out / "state.safetensors") as path:
            save_file(
                {name: value.detach().contiguous().cpu() for name, value in tensors.items()},
                path,
                metadata=metadata,
            )

    def resume(self) -> None:
        """Continues from `state.safetensors`; rows of the loss log behind it are dropped.

        Raises:
            ModelError: there is no such file or it is another network's.
        """
        from safetensors import safe_open

        path = self.out / "state.safetensors"
        if not path.is_file():
            raise ModelError(f"{self.out} holds no state.safetensors to resume from: start without --resume")
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata()
        tensors = load_file(path)
        network = _part(tensors, "network.")
        check_weights(self.network, network, str(path))
        self.network.load_state_dict(network)
        self.ema = {name: value.to(self.device) for name, value in _part(tensors, "ema.").items()}
        states: dict[int, dict[str, Any]] = {}
        for name, value in _part(tensors, "optimiser.").items():
            index, key = name.split(".", 1)
            states.setdefault(int(index), {})[key] = value
        self.optimiser.load_state_dict({"state": states, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.step, self.seconds = int(metadata["step"]), float(metadata["seconds"])
        _drop_rows_after(self.out / "loss.csv", self.step)


def learning_rate(recipe: RecipeConfig, step: int) -> float:
    """Warm-up, constant, linear decay to zero at the end."""
    warm = min(1.0, (step + 1) / max(recipe.warmup, 1))
    left = min(1.0, (recipe.steps - step) / recipe.decay) if recipe.decay else 1.0
    return recipe.learning_rate * warm * max(left, 0.0)


def random_crop(x: Tensor, size: int, generator: torch.Generator, grid: int) -> Tensor:
    """One crop of N3HW at a place that is a multiple of `grid`, so that low-resolution pixels stay whole."""
    room = (x.shape[-1] - size) // grid + 1
    top, left = (grid * int(torch.randint(room, (), generator=generator)) for _ in range(2))
    return x[..., top : top + size, left : left + size]


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _drop_rows_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if int(row["step"]) <= step]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, LOG_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
