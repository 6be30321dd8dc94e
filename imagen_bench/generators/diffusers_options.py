"""Options of the `diffusers` generator: how the pipeline is loaded and called, and the stages of a cascade."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from imagen_bench.config import Section, validate
from imagen_bench.devices import AUTO, open_device
from imagen_bench.errors import ConfigError
from imagen_bench.generators.speed_options import dtype_name
from imagen_bench.suggest import did_you_mean

CASCADE, BASE = "cascade", "base"


class PipelineOptions(Section):
    """How one pipeline is loaded and called; what is not given is the pipeline's own default.

    Attributes:
        dtype: Number format of the weights: float32, bfloat16 or float16.
        variant: Which weight files, such as "fp16"; part of their names.
        revision: Branch, tag or commit of a hub id.
        steps: Denoising steps.
        scheduler: Class in `diffusers`, built from the config of the pipeline's own scheduler.
        scheduler_options: Values that stand over that config's.
        guidance_argument: Argument that takes the guidance weight; found by itself where not given.
        negative_prompt: What to guide away from; the empty text where not given.
        height: Of the images in pixels.
        width: The same.
        call: Further arguments of the pipeline's call, such as `max_sequence_length` or `noise_level`.
    """

    dtype: str = "float32"
    variant: str | None = None
    revision: str | None = None
    steps: int | None = Field(default=None, ge=1)
    scheduler: str | None = None
    scheduler_options: dict[str, Any] = Field(default_factory=dict)
    guidance_argument: str | None = None
    negative_prompt: str | None = None
    height: int | None = Field(default=None, ge=8)
    width: int | None = Field(default=None, ge=8)
    call: dict[str, Any] = Field(default_factory=dict)

    @field_validator("dtype")
    @classmethod
    def _known_dtype(cls, name: str) -> str:
        return dtype_name(name)


class SuperResolutionStage(PipelineOptions):
    """A pipeline that enlarges the images of the stage before.

    Attributes:
        model: Hub id or folder.
        guidance_weight: w of this stage; the pipeline's own default where not given.
    """

    model: str = Field(min_length=1)
    guidance_weight: float | None = Field(default=None, ge=1.0, allow_inf_nan=False)


class DiffusersOptions(PipelineOptions):
    """Options of the generator; those of `PipelineOptions` are the first stage's.

    Attributes:
        stages: Super-resolution stages of a cascade, in their order.
        stage: Where a cascade stops: "base", "sr1", "sr2"... or "cascade" for the last.
        device: "cpu", "cuda", "cuda:1"; "auto" for CUDA where there is one.
        offload: Keep the model's parts in main memory and bring each ("model") or each layer ("sequential") to the
            GPU while it works.
        download: Fetch a hub id that is not in the local cache.
        safety_checker: Keep the checker that a model ships with; images that it blacks out are reported.
        channels_last: Memory layout of the networks, faster on most GPUs.
        compile: Compile the networks: true, or the name of a backend of torch.
    """

    stages: tuple[SuperResolutionStage, ...] = ()
    stage: str = CASCADE
    device: str = AUTO
    offload: Literal["none", "model", "sequential"] = "none"
    download: bool = False
    safety_checker: bool = True
    channels_last: bool = False
    compile: bool | str = False

    @field_validator("stages", mode="before")
    @classmethod
    def _names_are_enough(cls, stages: Any) -> Any:
        """A stage may be written as its model alone."""
        if isinstance(stages, (list, tuple)):
            return tuple({"model": stage} if isinstance(stage, str) else stage for stage in stages)
        return stages

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages: base, sr1, sr2..."""
        return (BASE, *(f"sr{place}" for place in range(1, len(self.stages) + 1)))

    @property
    def last(self) -> int:
        """Place of the stage to stop at."""
        return len(self.stages) if self.stage == CASCADE else self.stage_names.index(self.stage)


def read_options(options: dict[str, Any]) -> DiffusersOptions:
    """Check the `[model.options]` table.

    Raises:
        ConfigError: An unknown or wrong option.
    """
    settings = validate(DiffusersOptions, options, "model.options")
    known = [*settings.stage_names, CASCADE]
    if settings.stage not in known:
        raise ConfigError(f"model.options.stage is {settings.stage!r}: {did_you_mean(settings.stage, known)}")
    return settings


def on_device(settings: DiffusersOptions) -> DiffusersOptions:
    """Return the options with the device that they mean.

    Raises:
        ConfigError: It is not there, or parts are to be offloaded from it and it is the CPU.
    """
    device = open_device(settings.device, "model.options.device")
    if settings.offload != "none" and device.type == "cpu":
        raise ConfigError(
            f"model.options.offload is {settings.offload!r} on the CPU: leave it out, or set device = 'cuda'"
        )
    return settings.model_copy(update={"device": str(device)})
