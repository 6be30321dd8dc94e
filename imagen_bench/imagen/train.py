"""Training of one stage: optimiser, warm-up, EMA, exact resume, validation, samples (Imagen, appendix F).

Every step draws its data and noise from generators seeded by (seed, step), so a resumed run repeats the
uninterrupted one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from imagen_bench.errors import ModelError
from imagen_bench.imagen.checkpoint import check_weights, save_stage
from imagen_bench.imagen.config import StageConfig
from imagen_bench.imagen.efficient_unet import build_unet
from imagen_bench.imagen.loss import Rows, diffusion_loss
from imagen_bench.imagen.text import TextBatch, TextEncoder
from imagen_bench.imagen.train_log import LOSS_COLUMNS, VALIDATION_COLUMNS, Board, Table, thirds
from imagen_bench.imagen.train_monitor import noise_level_losses, sample_grid
from imagen_bench.imagen.train_parts import NetworkPass, random_crop
from imagen_bench.imagen.train_recipe import (
    RecipeConfig,
    SamplesConfig,
    check_crop,
    learning_rate,
    make_optimiser,
    share_of,
)
from imagen_bench.imagen.train_state import (
    STAGE,
    STATE,
    TrainingState,
    check_same_meaning,
    read_initial_weights,
    write_record,
)
from imagen_bench.images import to_model, write_png
from imagen_bench.workers import Workers

Batches = Callable[[int], tuple[Tensor, list[str]]]


@dataclass(frozen=True)
class Monitoring:
    """What a training is watched with, beside its loss.

    Attributes:
        validation: batches of held-out pictures, for `recipe.validate_every`.
        samples: grids of samples.
        board: gets the numbers and grids as well, such as TensorBoard.
        record: goes into training.json beside the weights: where data and text encoder came from.
    """

    validation: Batches | None = None
    samples: SamplesConfig | None = None
    board: Board | None = None
    record: dict[str, Any] = field(default_factory=dict)


class Trainer:
    """Trains one stage and keeps everything that resuming needs in `out`.

    Args:
        stage: the stage to train.
        recipe: optimisation.
        batches: step -> (images uint8 NCHW, captions), of several workers each its rows (`share`); must depend on
            the step alone.
        encoder: the frozen text encoder.
        out: folder of the training run: `stage/` (EMA weights for sampling), `state.safetensors`, `loss.csv`,
            `validation.csv`, `samples/`.
        device: where the network runs.
        monitoring: what else to record; the main worker alone does.
        workers: the processes that share each batch. Their gradients are averaged (DistributedDataParallel), so the
            losses are those of one process with the same batch.

    Raises:
        ModelError: the text encoder does not fit the stage.
        ConfigError: the recipe's crop does not, its batch cannot be shared equally, or its optimiser is not there.
    """

    def __init__(
        self, stage: StageConfig, recipe: RecipeConfig, batches: Batches, encoder: TextEncoder, out: Path,
        device: torch.device | str = "cpu", monitoring: Monitoring | None = None, workers: Workers | None = None,
    ) -> None:  # fmt: skip
        if encoder.dim != stage.unet.text_dim:
            raise ModelError(
                f"the text encoder {encoder.source} gives {encoder.dim} channels, "
                f"the stage {stage.name} expects {stage.unet.text_dim}"
            )
        check_crop(recipe, stage)
        self.workers = workers or Workers()
        self.share = share_of(recipe, self.workers)
        torch.manual_seed(recipe.seed)
        self.stage, self.recipe, self.batches, self.encoder, self.out = stage, recipe, batches, encoder, out
        self.device, self.monitoring = torch.device(device), monitoring or Monitoring()
        self.network = build_unet(stage.unet).to(self.device)
        self.ema = self._current()
        self.optimiser = make_optimiser(recipe, self.network.parameters())
        self._passed = NetworkPass(_synchronised(self.network, self.workers), recipe.precision)
        self.step, self.seconds = 0, 0.0
        self._losses = Table(out / "loss.csv", LOSS_COLUMNS)
        self._validation = Table(out / "validation.csv", VALIDATION_COLUMNS)
        self._seen: dict[str, Tensor] = {}

    def fit(self, on_step: Callable[[int, float], None] | None = None) -> None:
        """Trains up to `recipe.steps`, logging and saving on the way.

        Args:
            on_step: gets the number of steps done and the loss after every step.

        Raises:
            ModelError: the loss or its gradient is not finite; the last good checkpoint stays.
        """
        self.network.train()
        self.out.mkdir(parents=True, exist_ok=True)
        while self.step < self.recipe.steps:
            started = time.monotonic()
            loss = self._train_step()
            self.step += 1
            self.seconds += time.monotonic() - started
            if self.workers.is_main:
                self._record()
            if on_step is not None:
                on_step(self.step, loss)
        self.workers.wait()

    def _record(self) -> None:
        """Logs, validates, samples and saves where the step asks for it."""
        if self.step % self.recipe.log_every == 0:
            self._log()
        if self._due(self.recipe.validate_every) and self.monitoring.validation is not None:
            self._validate(self.monitoring.validation)
        if self.monitoring.samples is not None and self._due(self.monitoring.samples.every):
            self._sample(self.monitoring.samples)
        if self._due(self.recipe.checkpoint_every):
            self.save()

    def _due(self, every: int | None) -> bool:
        return every is not None and (self.step % every == 0 or self.step == self.recipe.steps)

    def _train_step(self) -> float:
        recipe = self.recipe
        seed = recipe.seed * 1_000_003 + self.step
        torch.manual_seed(seed + self.workers.rank)  # dropout draws from the global generator
        generator = torch.Generator().manual_seed(seed)
        x, text = self._inputs(self.batches, self.step, generator, self.share)
        drawn = generator.get_state()
        self.optimiser.zero_grad(set_to_none=True)
        seen = torch.zeros(2, self.share.total)
        for rows in self.share.parts(recipe.accumulate):
            generator.set_state(drawn)
            with self._last_part_synchronises(rows):
                here = slice(rows.start - self.share.start, rows.stop - self.share.start)
                losses, times = diffusion_loss(self._passed, self.stage, x[here], text.rows(here), generator, rows)
                (losses.sum() * (self.workers.count / rows.total)).backward()
            seen[:, rows.start : rows.stop] = torch.stack([losses.detach().cpu(), times.cpu()])
        self.workers.add_up(seen)
        losses, times = seen
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip).cpu()
        mean = losses.mean().item()
        self._check_finite(mean, norm.item())
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(recipe, self.step)
        self.optimiser.step()
        self._update_ema()
        for name, values in {"losses": losses, "times": times, "norms": norm[None]}.items():
            self._seen[name] = torch.cat([self._seen[name], values]) if name in self._seen else values
        return mean

    def _last_part_synchronises(self, rows: Rows) -> AbstractContextManager[None]:
        """Gradients are exchanged once a step: in the backward pass of the worker's last part."""
        network = self._passed.network
        if isinstance(network, DistributedDataParallel) and rows.stop < self.share.stop:
            return network.no_sync()
        return nullcontext()

    def _inputs(
        self, batches: Batches, index: int, generator: torch.Generator, rows: Rows | None = None
    ) -> tuple[Tensor, TextBatch]:
        pixels, captions = batches(index)
        x = to_model(pixels)
        if self.recipe.crop is not None:
            x = random_crop(x, self.recipe.crop, generator, self.stage.enlargement, rows)
        return x.to(self.device), self.encoder(captions).to(self.device)

    def _check_finite(self, loss: float, norm: float) -> None:
        for what, value in (("loss", loss), ("gradient", norm)):
            if not math.isfinite(value):
                raise ModelError(
                    f"the {what} of {self.stage.name} became {value} at step {self.step}: "
                    f"resume from {self.out} with a lower recipe.learning_rate"
                )

    @torch.no_grad()
    def _update_ema(self) -> None:
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        names = list(self.ema)
        current = self.network.state_dict()
        torch._foreach_lerp_([self.ema[name] for name in names], [current[name] for name in names], 1.0 - decay)

    def _current(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    @contextmanager
    def _averaged(self) -> Iterator[nn.Module]:
        """The network with the averaged weights, in evaluation mode and the recipe's precision."""
        current = self._current()
        self.network.load_state_dict(self.ema)
        self.network.eval()
        try:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
                yield self.network
        finally:
            self.network.load_state_dict(current)
            self.network.train()

    def _log(self) -> None:
        means = thirds(self._seen["times"], self._seen["losses"])
        row: dict[str, Any] = {
            "step": self.step,
            "samples": self.step * self.recipe.batch_size,
            **means,
            "learning_rate": f"{learning_rate(self.recipe, self.step):.6g}",
            "seconds": f"{self.seconds:.1f}",
            "gradient_norm": f"{self._seen['norms'].mean().item():.5g}",
        }
        self._losses.add([row])
        self._show({f"train/{name}": float(row[name]) for name in (*means, "learning_rate", "gradient_norm")})
        self._seen = {}

    def _validate(self, batches: Batches) -> None:
        generator = torch.Generator().manual_seed(self.recipe.seed)  # of the crops
        inputs = [self._inputs(batches, index, generator) for index in range(self.recipe.validation_batches)]
        with self._averaged() as network:
            rows = noise_level_losses(network, self.stage, inputs)
        self._validation.add(
            [{"step": self.step, "samples": self.step * self.recipe.batch_size, **row} for row in rows]
        )
        shown = {"all" if row["t_high"] - row["t_low"] == 1 else f"t={row['t_low']}": row["loss"] for row in rows}
        self._show({f"validation/{name}": float(loss) for name, loss in shown.items() if loss})

    def _sample(self, samples: SamplesConfig) -> None:
        pictures, captions = (self.monitoring.validation or self.batches)(0)
        with self._averaged() as network:
            grid = sample_grid(network, self.stage, self.encoder, samples, pictures, captions)
        write_png(self.out / "samples" / f"step-{self.step:07}.png", grid)
        if self.monitoring.board is not None:
            self.monitoring.board.add_image("samples", grid, self.step)

    def _show(self, numbers: dict[str, float]) -> None:
        if self.monitoring.board is not None:
            for name, value in numbers.items():
                self.monitoring.board.add_scalar(name, value, self.step)

    def save(self) -> None:
        """Writes the EMA stage for sampling with a record of its training, and the state for resuming."""
        save_stage(self.out / STAGE, self.stage, self.ema)
        record = {
            "step": self.step,
            "samples": self.step * self.recipe.batch_size,
            "seconds": round(self.seconds, 1),
            "recipe": self.recipe.model_dump(mode="json"),
        }
        write_record(self.out / STAGE, record | self.monitoring.record)
        TrainingState(
            step=self.step,
            seconds=self.seconds,
            optimiser_kind=self.recipe.optimiser,
            network=self.network.state_dict(),
            ema=self.ema,
            optimiser=self.optimiser.state_dict()["state"],
            log=self._seen,
        ).save(self.out / STATE)
        if self.monitoring.board is not None:
            self.monitoring.board.flush()

    def resume(self) -> None:
        """Continues from `state.safetensors`; rows of the logs behind it are dropped.

        The recipe may differ from before: `steps` raised extends the training.

        Raises:
            ModelError: there is no such file, or it is another network's, optimiser's or a longer training's.
        """
        path = self.out / STATE
        state = TrainingState.read(path)
        check_same_meaning(self.out, self.stage)
        for weights in (state.network, state.ema):
            check_weights(self.network, weights, str(path))
        if state.optimiser_kind != self.recipe.optimiser:
            raise ModelError(
                f"{path} holds the state of {state.optimiser_kind}, recipe.optimiser is {self.recipe.optimiser}: set "
                "it back, or start another training with --init-from"
            )
        if state.step > self.recipe.steps:
            raise ModelError(
                f"{path} is at step {state.step}, recipe.steps is {self.recipe.steps}: raise recipe.steps to go on"
            )
        self.network.load_state_dict(state.network)
        self.ema = {name: value.to(self.device) for name, value in state.ema.items()}
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state.optimiser, "param_groups": groups})
        self.step, self.seconds, self._seen = state.step, state.seconds, dict(state.log)
        self._losses.drop_after(self.step)
        self._validation.drop_after(self.step)

    def start_from(self, folder: Path) -> None:
        """Takes the weights of another training or stage; steps, optimiser and average start anew.

        Raises:
            ModelError: there are none, or they do not fit; names what differs.
        """
        weights, source = read_initial_weights(folder, self.stage)
        check_weights(self.network, weights, str(source))
        self.network.load_state_dict(weights)
        self.ema = self._current()


def _synchronised(network: nn.Module, workers: Workers) -> nn.Module:
    """The network, with its gradients averaged over the workers where there are several."""
    return network if workers.alone else DistributedDataParallel(network, broadcast_buffers=False)
