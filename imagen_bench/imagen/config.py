"""Configurations of the networks and stages, as plain frozen data; `models/` and the paper's sizes are instances."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from imagen_bench.imagen.attention import AttentionKind
from imagen_bench.imagen.schedule import Prediction, Schedule, ScheduleKind


class Frozen(BaseModel):
    """Base of all configurations: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class UNetConfig(Frozen):
    """Shape of a U-Net; one entry a level, from the highest resolution to the lowest.

    Attributes:
        kind: "base" (ADM-style, Imagen F.1), "mirrored" (a base whose way up mirrors its way down, plain convolutions
            between the levels, one attention a level: less work at the same list of blocks), or "efficient"
            (Efficient U-Net, Imagen B.1).
        dim: channels at multiplier 1.
        channel_mult: channels of each level as multiples of `dim`.
        blocks: residual blocks of each level on the way down; "base" has one more a level on the way up.
        attention: kind of attention of each level.
        head_dim: channels a head (base, 64 in the paper); used where `heads` is not set.
        heads: number of heads of every attention layer (efficient, 8).
        attention_expansion: width of queries, keys and values as a multiple of a level's channels (2 in the figure of
            the efficient blocks, A.28).
        text_dim: width of the text encoder's embeddings.
        cond_dim: width of time and pooled-text embedding; 4 * dim where not given.
        pooling: how tokens become the pooled text vector.
        low_res: whether an image of the stage before is an input (super-resolution).
        patch_size: pixels are folded into channels by this factor before the first convolution and unfolded
            after the last (1 in the paper; larger makes small models cheap).
        skip_scale: factor on the long skips of the efficient U-Net, 1/sqrt(2) in the paper.
        position_size: side in pixels of the training images, for which the efficient U-Net then learns a position map
            that is added to every level that attends (not in the paper, whose networks see positions by their
            padding alone; a small network learns layout in fewer steps with it). None adds none.
        text_layout: whether the lowest level's position map also depends on time and text, linearly. A small network
            then draws the outline of a thing after fewer images (not in the paper either).
        start: how weights are drawn before training: "torch" (its defaults) or "flax" (unit variance is kept along the
            network, as the paper's framework does). Small networks learn faster from "torch".
        checkpointing: training keeps no activations inside a level's blocks and computes them again on the way back:
            much less memory for about a third more time.
    """

    kind: Literal["base", "mirrored", "efficient"] = "base"
    dim: int = Field(gt=0)
    channel_mult: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1)
    blocks: tuple[Annotated[int, Field(gt=0)], ...]
    attention: tuple[AttentionKind, ...]
    text_dim: int = Field(gt=0)
    head_dim: int = Field(default=64, gt=0)
    heads: int | None = Field(default=None, gt=0)
    attention_expansion: int = Field(default=1, gt=0)
    cond_dim: int | None = Field(default=None, gt=0)
    pooling: Literal["attention", "mean"] = "attention"
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    low_res: bool = False
    patch_size: int = Field(default=1, gt=0)
    image_channels: int = 3
    skip_scale: float = 2.0**-0.5
    position_size: int | None = Field(default=None, gt=0)
    text_layout: bool = False
    start: Literal["torch", "flax"] = "torch"
    checkpointing: bool = False

    @model_validator(mode="after")
    def _same_levels(self) -> UNetConfig:
        lengths = {len(self.channel_mult), len(self.blocks), len(self.attention)}
        if len(lengths) != 1:
            raise ValueError("channel_mult, blocks and attention must have one entry a level each")
        if self.position_size is not None and self.kind != "efficient":
            raise ValueError('position_size is for kind = "efficient"')
        if self.text_layout and self.position_size is None:
            raise ValueError("text_layout needs position_size, the side of the training images in pixels")
        if self.position_size is not None and self.position_size % self.factor:
            raise ValueError(f"position_size {self.position_size} is no multiple of {self.factor}")
        return self

    @model_validator(mode="after")
    def _heads_divide(self) -> UNetConfig:
        attending = [self.channels(level) for level, kind in enumerate(self.attention) if kind != "none"]
        widths = {channels: channels * self.attention_expansion for channels in attending}
        for channels, width in (widths | {self.condition_width: self.condition_width}).items():
            if width % self.head_count(channels):
                raise ValueError(f"attention of {width} channels cannot have {self.head_count(channels)} equal heads")
        return self

    @property
    def factor(self) -> int:
        """Image height and width must be multiples of this."""
        levels = len(self.channel_mult)
        halvings = levels if self.kind == "efficient" and self.patch_size == 1 else levels - 1
        return self.patch_size << halvings

    def channels(self, level: int) -> int:
        """Channels of a level."""
        return self.dim * self.channel_mult[level]

    @property
    def condition_width(self) -> int:
        """Width of the vector of time and pooled text."""
        return self.cond_dim or 4 * self.dim

    @property
    def head_channels(self) -> int:
        """Channels that reach the last normalisation."""
        return self.dim if self.kind == "efficient" else self.channels(0)

    def head_count(self, channels: int) -> int:
        """Attention heads of a layer with this many channels."""
        return self.heads or max(1, channels // self.head_dim)


class DiffusionConfig(Frozen):
    """What the network of a stage predicts, on which schedule, and how training weighs noise levels.

    Attributes:
        schedule: "cosine" (the paper's base and 64 -> 256 stages) or "linear" (its 256 -> 1024 stage).
        shift: resolution that the schedule is shifted to, 64 for none.
        prediction: what the network puts out; the paper's is "eps".
        weighting: the error whose plain mean is minimised: "eps" (the paper's), "x0", "v", or "min-snr" and "p2",
            which `loss.loss_weight` defines.
        min_snr_gamma: bound on the SNR of "min-snr".
        p2_gamma: exponent of "p2"; 0 is "eps".
        p2_k: offset of the SNR in "p2".
        max_weight: bound on the weight of a squared x0 error, so that an x0 network is not drawn to the last
            grain of noise.
    """

    schedule: ScheduleKind = "cosine"
    shift: int = Field(default=64, gt=0)
    prediction: Prediction = "eps"
    weighting: Literal["eps", "x0", "v", "min-snr", "p2"] = "eps"
    min_snr_gamma: float = Field(default=5.0, gt=0)
    p2_gamma: float = Field(default=1.0, ge=0)
    p2_k: float = Field(default=1.0, gt=0)
    max_weight: float | None = Field(default=None, gt=0)

    def noise_schedule(self) -> Schedule:
        """The schedule, as the object that training and sampling share."""
        return Schedule(self.schedule, self.shift)


class StageConfig(Frozen):
    """One stage of the cascade: its network, its diffusion, its picture size and its low-resolution input.

    Attributes:
        image_size: height and width of the stage's images.
        low_res_size: height and width of the stage before, None for the base.
        aug_level_max: training draws the noise conditioning augmentation level from U(0, aug_level_max).
        text_drop: rate at which the text is replaced by the null condition in training (10 % in the paper).
        text_length: most tokens that the network sees.
    """

    name: str = Field(min_length=1)
    image_size: int = Field(gt=0)
    low_res_size: int | None = Field(default=None, gt=0)
    unet: UNetConfig
    diffusion: DiffusionConfig = DiffusionConfig()
    aug_level_max: float = Field(default=1.0, ge=0.0, le=1.0)
    text_drop: float = Field(default=0.1, ge=0.0, le=1.0)
    text_length: int = Field(default=128, gt=0)

    @model_validator(mode="after")
    def _low_res_agrees(self) -> StageConfig:
        if (self.low_res_size is not None) != self.unet.low_res:
            raise ValueError("low_res_size must be given exactly when unet.low_res is true")
        if self.low_res_size is not None and self.image_size % self.low_res_size:
            raise ValueError(f"image_size {self.image_size} is no multiple of low_res_size {self.low_res_size}")
        if self.image_size % self.unet.factor:
            raise ValueError(
                f"image_size {self.image_size} is no multiple of {self.unet.factor}, which the U-Net halves by"
            )
        return self

    @property
    def enlargement(self) -> int:
        """Factor from the stage's input image to its output; 1 for the base."""
        return 1 if self.low_res_size is None else self.image_size // self.low_res_size
