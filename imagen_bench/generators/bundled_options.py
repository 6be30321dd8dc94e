"""Options of the bundled generator: how each stage of a cascade is sampled, and where the cascade stops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import AliasChoices, Field, create_model, field_validator, model_validator

from imagen_bench.config import Section, validate
from imagen_bench.devices import AUTO
from imagen_bench.errors import ConfigError
from imagen_bench.generators.speed_options import dtype_name
from imagen_bench.imagen.cascade import Sampling
from imagen_bench.imagen.guidance import Threshold, ThresholdKind
from imagen_bench.imagen.samplers import Sampler, SamplerKind, Spacing
from imagen_bench.suggest import did_you_mean

CASCADE = "cascade"


class StageOptions(Section):
    """Sampling of one stage; the fields are those of `Sampler`, `Threshold` and `Sampling`."""

    sampler: SamplerKind = "ddim"
    steps: int = Field(default=50, ge=1)
    gamma: float = Field(default=0.3, ge=0.0, le=1.0)
    spacing: Spacing | None = None
    thresholding: ThresholdKind = "dynamic"
    percentile: float = Field(default=99.5, gt=0.0, le=100.0)
    cap: float | None = Field(default=None, ge=1.0)
    guidance_interval: tuple[float, float] | None = None
    tile: int | None = Field(default=None, ge=1)
    tile_overlap: int | None = Field(default=None, ge=0)
    chunk: int | None = Field(default=None, ge=1)

    @field_validator("guidance_interval")
    @classmethod
    def _rises(cls, interval: tuple[float, float] | None) -> tuple[float, float] | None:
        if interval is not None and not 0.0 <= interval[0] < interval[1]:
            raise ValueError("give two noise levels sigma / alpha, the lower one first, such as [0.3, 5]")
        return interval

    def sampling(self, aug_level: float = 0.0) -> Sampling:
        """The same as the model's own type."""
        return Sampling(
            sampler=Sampler(self.sampler, self.steps, self.gamma, self.spacing),
            threshold=Threshold(self.thresholding, self.percentile, self.cap),
            aug_level=aug_level,
            guidance_interval=self.guidance_interval,
            tile=self.tile,
            tile_overlap=self.tile_overlap,
            chunk=self.chunk,
        )


class BaseOptions(StageOptions):
    """Sampling of the base stage; its guidance weight is the sweep's and cannot be set here.

    Attributes:
        height: of its images in pixels; what it was trained on where not given.
        width: the same.
    """

    height: int | None = Field(default=None, ge=1)
    width: int | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _weight_is_the_sweeps(cls, data: Any) -> Any:
        if isinstance(data, dict) and {"guidance", "guidance_weight"} & data.keys():
            raise ValueError("set the base stage's guidance weight by sweep.guidance_weights in a run, or --guidance")
        return data


class SuperResolutionOptions(StageOptions):
    """Sampling of a super-resolution stage, with its own guidance weight (`guidance` for short) and aug level."""

    steps: int = Field(default=12, ge=1)
    guidance_weight: float = Field(
        default=1.0, ge=0.0, allow_inf_nan=False, validation_alias=AliasChoices("guidance_weight", "guidance")
    )
    aug_level: float = Field(default=0.1, ge=0.0, le=1.0)


class BundledOptions(Section):
    """Options of the generator; a model adds one table for each of its super-resolution stages, by name.

    Attributes:
        stage: where the cascade stops: a stage's name, or "cascade" for the last one.
        guided_stage: stage that the sweep's guidance weights are for; the others keep their own.
        base_guidance_weight: weight of the base stage where the sweep is for another.
        base: sampling of the base stage.
        super_resolution: sampling of every super-resolution stage, where its own table says nothing else.
        device: "cpu", "cuda", "cuda:1"; "auto" for CUDA where there is one.
        dtype: Number format of the U-Nets: float32, bfloat16 or float16; the sampler computes in float32 all the same.
        channels_last: Memory layout of the U-Nets, faster nearly everywhere.
        compile: Compile the U-Nets: true, or the name of a backend of torch.
    """

    stage: str = "base"
    guided_stage: str = "base"
    base_guidance_weight: float = Field(default=1.0, ge=0.0, allow_inf_nan=False)
    base: BaseOptions = BaseOptions()
    super_resolution: SuperResolutionOptions = SuperResolutionOptions()
    device: str = AUTO
    dtype: str = "float32"
    channels_last: bool = True
    compile: bool | str = False

    @field_validator("dtype")
    @classmethod
    def _known_dtype(cls, name: str) -> str:
        return dtype_name(name)

    def of(self, stage: str) -> SuperResolutionOptions:
        """Options of a super-resolution stage, its own table over the common one."""
        own: SuperResolutionOptions = getattr(self, stage)
        return self.super_resolution.model_copy(update=own.model_dump(exclude_unset=True))

    def weight_of(self, stage: str, swept: float) -> float:
        """Guidance weight of a stage where the sweep is at the weight `swept`."""
        if stage == self.guided_stage:
            return swept
        return self.base_guidance_weight if stage == "base" else self.of(stage).guidance_weight

    def sampling_of(self, stage: str) -> Sampling:
        """Sampling of a stage by name, as the model's own type."""
        if stage == "base":
            return self.base.sampling()
        own = self.of(stage)
        return own.sampling(own.aug_level)


def read_options(options: dict[str, Any], stages: Sequence[str], source: str = "model.options") -> BundledOptions:
    """Checks the options of a model.

    Args:
        options: the `[model.options]` table.
        stages: names of the model's stages, the base first.
        source: where the options come from, for messages.

    Raises:
        ConfigError: an unknown or wrong option; names the nearest known one.
    """
    tables: dict[str, Any] = {name: (SuperResolutionOptions, SuperResolutionOptions()) for name in stages[1:]}
    settings = validate(create_model("BundledOptions", __base__=BundledOptions, **tables), options, source)
    if settings.stage not in (*stages, CASCADE):
        raise ConfigError(
            f"{source}: the model has no stage {settings.stage!r}: {did_you_mean(settings.stage, [*stages, CASCADE])}"
        )
    drawn = stages if settings.stage == CASCADE else stages[: stages.index(settings.stage) + 1]
    if settings.guided_stage not in drawn:
        raise ConfigError(
            f"{source}: guided_stage is {settings.guided_stage!r}, but the cascade runs {', '.join(drawn)}: name "
            "one of these, or let it run further with stage"
        )
    return settings
