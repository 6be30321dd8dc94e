"""The networks that `imagen_speed.py` compares: ours and other implementations, built to one shape.

Each builder imports its library, so that one which is missing leaves the others alone. Widths, attention resolutions
and text length are the same, and depth or block list; everything else is the library's own default. Ours keeps freed
memory, as its command does (`imagen_bench.devices.keep_freed_memory`).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

TOKENS, TEXT_DIM, GUIDANCE_WEIGHT = 64, 512, 3.0


@dataclass(frozen=True)
class Shape:
    """A network to build.

    Attributes:
        name: "base" and "base-adm" (64x64), or "efficient" (super-resolution to 256x256).
        size: side of the images in pixels.
        blocks: residual blocks of each level, from the highest resolution on, of networks with as many on the way up as
            down and plain convolutions between the levels.
        attention: which levels attend to pixels and text.
        adm_blocks: the same for networks of ADM's kind, which have one block more a level on the way up, and residual
            blocks between the levels.
        device: where networks and inputs lie.
    """

    name: str
    size: int
    batch: int
    dim: int
    mults: tuple[int, ...]
    blocks: tuple[int, ...]
    attention: tuple[bool, ...]
    adm_blocks: tuple[int, ...]
    device: str = "cpu"

    @property
    def super_resolution(self) -> bool:
        """Whether a low-resolution image is an input."""
        return self.name == "efficient"


# "base" compares networks of one depth: 18 residual blocks, or 20 where they are of ADM's kind. "base-adm" is the depth
# that ADM's kind has for the list of blocks of "base".
MULTS, TWO, LOW_TWO = (1, 2, 3, 4), (2, 2, 2, 2), (False, False, True, True)
SR_MULTS, SR_BLOCKS, LOWEST = (1, 2, 4, 8), (2, 4, 8, 8), (False, False, False, True)
BASE = Shape("base", 64, 4, 64, MULTS, TWO, LOW_TWO, adm_blocks=(1, 1, 1, 1))
BASE_ADM = Shape("base-adm", 64, 4, 64, MULTS, TWO, LOW_TWO, adm_blocks=TWO)
EFFICIENT = Shape("efficient", 256, 1, 32, SR_MULTS, SR_BLOCKS, LOWEST, adm_blocks=SR_BLOCKS)
QUICK_BASE = Shape("base", 32, 1, 32, MULTS, TWO, LOW_TWO, adm_blocks=(1, 1, 1, 1))
QUICK_EFFICIENT = Shape("efficient", 64, 1, 32, SR_MULTS, SR_BLOCKS, LOWEST, adm_blocks=SR_BLOCKS)
RESIDUAL_BLOCKS = {"ResBlock", "ResnetBlock", "ResnetBlock2D"}


def residual_blocks(network: nn.Module) -> int:
    """How many residual blocks a network has, by the names that the implementations give them."""
    return sum(type(module).__name__ in RESIDUAL_BLOCKS for module in network.modules())


@dataclass(frozen=True)
class Subject:
    """A network that is ready to be measured.

    Attributes:
        network: its module.
        forward: one pass over a batch of random images.
        sample: draws a batch with that many steps and guidance weight 3 in the library's own loop; None where it
            cannot be asked to sample this network alone.
        note: what differs from the others.
    """

    network: nn.Module
    forward: Callable[[], Tensor]
    sample: Callable[[int], Tensor] | None
    note: str


@dataclass(frozen=True)
class Inputs:
    """Random inputs of a batch: images N3HW, text (N, tokens, width), its mask, and a time in (0, 1) a sample."""

    z: Tensor
    low_res: Tensor
    text: Tensor
    mask: Tensor
    time: Tensor

    @classmethod
    def draw(cls, shape: Shape) -> Inputs:
        """The same inputs for every implementation."""
        generator = torch.Generator().manual_seed(0)
        size = (shape.batch, 3, shape.size, shape.size)
        parts = {
            "z": torch.randn(size, generator=generator),
            "low_res": torch.randn(size, generator=generator),
            "text": torch.randn(shape.batch, TOKENS, TEXT_DIM, generator=generator),
            "mask": torch.ones(shape.batch, TOKENS, dtype=torch.bool),
            "time": torch.rand(shape.batch, generator=generator),
        }
        return cls(**{name: part.to(shape.device) for name, part in parts.items()})


def ours(shape: Shape) -> Subject:
    """imagen-bench: the mirrored base U-Net, sampled with DDIM, or the Efficient U-Net."""
    return _ours(shape, "efficient" if shape.super_resolution else "mirrored", shape.blocks)


def ours_adm(shape: Shape) -> Subject:
    """imagen-bench: the paper's base U-Net, in ADM's layout, sampled with DDIM."""
    return _ours(shape, "base", shape.adm_blocks)


def _ours(shape: Shape, kind: Literal["base", "mirrored", "efficient"], blocks: tuple[int, ...]) -> Subject:
    from imagen_bench.devices import keep_freed_memory
    from imagen_bench.imagen.cascade import Sampling, sample_stage
    from imagen_bench.imagen.config import StageConfig, UNetConfig
    from imagen_bench.imagen.efficient_unet import build_unet
    from imagen_bench.imagen.samplers import Sampler
    from imagen_bench.imagen.text import TextBatch

    keep_freed_memory()
    config = UNetConfig(
        kind=kind,
        dim=shape.dim,
        channel_mult=shape.mults,
        blocks=blocks,
        attention=tuple("self+text" if attends else "none" for attends in shape.attention),
        text_dim=TEXT_DIM,
        low_res=shape.super_resolution,
    )
    network, inputs = build_unet(config).to(shape.device), Inputs.draw(shape)
    log_snr = torch.zeros(shape.batch, device=shape.device)
    conditions = [inputs.low_res, log_snr] if shape.super_resolution else []

    def forward() -> Tensor:
        return network(inputs.z, log_snr, inputs.text, inputs.mask, *conditions)

    def sample(steps: int) -> Tensor:
        stage = StageConfig(name="base", image_size=shape.size, unet=config, text_length=TOKENS)
        text, seeds = TextBatch(inputs.text, inputs.mask), list(range(shape.batch))
        return sample_stage(network, stage, Sampling(Sampler("ddim", steps)), text, seeds, GUIDANCE_WEIGHT)

    note = "Efficient U-Net" if shape.super_resolution else f'kind "{kind}"; DDIM, dynamic thresholding'
    return Subject(network, forward, None if shape.super_resolution else sample, note)


def lucidrains(shape: Shape) -> Subject:
    """imagen-pytorch, whose `num_resnet_blocks` counts one less than there are."""
    from transformers import T5Config

    # Importing the package looks its default encoder up on the hub; the width is all that it takes from there.
    T5Config.from_pretrained = classmethod(lambda cls, name: cls(d_model=TEXT_DIM))
    from imagen_pytorch import Imagen, Unet

    network = Unet(
        dim=shape.dim,
        dim_mults=shape.mults,
        num_resnet_blocks=tuple(count - 1 for count in shape.blocks),
        layer_attns=shape.attention,
        layer_cross_attns=shape.attention,
        text_embed_dim=TEXT_DIM,
        max_text_len=TOKENS,
        memory_efficient=shape.super_resolution,
        lowres_cond=shape.super_resolution,
    ).to(shape.device)
    inputs = Inputs.draw(shape)
    low_res = {"lowres_cond_img": inputs.low_res, "lowres_noise_times": inputs.time} if shape.super_resolution else {}

    def forward() -> Tensor:
        return network(inputs.z, inputs.time, text_embeds=inputs.text, text_mask=inputs.mask, **low_res)

    def sample(steps: int) -> Tensor:
        imagen = Imagen(unets=network, image_sizes=shape.size, text_embed_dim=TEXT_DIM, timesteps=steps).eval()
        return imagen.sample(
            text_embeds=inputs.text,
            text_masks=inputs.mask,
            cond_scale=GUIDANCE_WEIGHT,
            cfg_remove_parallel_component=False,
            use_tqdm=False,
        )

    return Subject(network, forward, None if shape.super_resolution else sample, "ancestral; perceiver and gates on")


def minimagen(shape: Shape) -> Subject:
    """MinImagen, which samples with all of its training steps, at least 21."""
    from minimagen.Imagen import Imagen
    from minimagen.Unet import Unet

    network = Unet(
        dim=shape.dim,
        dim_mults=shape.mults,
        num_resnet_blocks=tuple(count - 1 for count in shape.blocks),
        layer_attns=shape.attention,
        layer_cross_attns=shape.attention,
        text_embed_dim=TEXT_DIM,
        memory_efficient=shape.super_resolution,
        lowres_cond=shape.super_resolution,
    ).to(shape.device)
    inputs = Inputs.draw(shape)
    low_res = {"lowres_cond_img": inputs.low_res, "lowres_noise_times": inputs.time} if shape.super_resolution else {}

    def forward() -> Tensor:
        return network(inputs.z, inputs.time, text_embeds=inputs.text, text_mask=inputs.mask, **low_res)

    def sample(steps: int) -> Tensor:
        imagen = Imagen(
            unets=network, image_sizes=(shape.size,), text_encoder_name="t5_small", text_embed_dim=TEXT_DIM,
            timesteps=steps,
        ).eval()  # fmt: skip
        return imagen.sample(text_embeds=inputs.text, text_masks=inputs.mask, cond_scale=GUIDANCE_WEIGHT)

    return Subject(network, forward, None if shape.super_resolution else sample, "ancestral; text padded to 256")


def diffusers(shape: Shape) -> Subject:
    """UNet2DConditionModel with the blocks of DeepFloyd IF, which attend to pixels and text together."""
    from diffusers import DDIMScheduler, UNet2DConditionModel

    levels = list(shape.attention)
    network = UNet2DConditionModel(
        sample_size=shape.size,
        in_channels=3,
        out_channels=3,
        block_out_channels=tuple(shape.dim * mult for mult in shape.mults),
        layers_per_block=shape.adm_blocks[0],
        down_block_types=tuple("SimpleCrossAttnDownBlock2D" if on else "ResnetDownsampleBlock2D" for on in levels),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=tuple("SimpleCrossAttnUpBlock2D" if on else "ResnetUpsampleBlock2D" for on in levels[::-1]),
        resnet_time_scale_shift="scale_shift",
        attention_head_dim=shape.dim,
        cross_attention_dim=TEXT_DIM,
        encoder_hid_dim=TEXT_DIM,
        encoder_hid_dim_type="text_proj",
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    ).to(shape.device)
    inputs = Inputs.draw(shape)

    def forward() -> Tensor:
        return network(inputs.z, torch.full((shape.batch,), 500, device=shape.device), inputs.text).sample

    def sample(steps: int) -> Tensor:
        scheduler = DDIMScheduler(thresholding=True, sample_max_value=100.0)
        scheduler.set_timesteps(steps)
        z, text = inputs.z, torch.cat([torch.zeros_like(inputs.text), inputs.text])
        for time in scheduler.timesteps:
            without, given = network(torch.cat([z, z]), time, text).sample.chunk(2)
            z = scheduler.step(without + GUIDANCE_WEIGHT * (given - without), time, z).prev_sample
        return z

    return Subject(network, forward, sample, "blocks of DeepFloyd IF; DDIM loop of its guide")


@dataclass(frozen=True)
class Peer:
    """An implementation: how to build it, for which shapes, and the package whose version is recorded.

    Attributes:
        rival: the row of ours that has its layout, which the ratios compare with.
    """

    build: Callable[[Shape], Subject]
    package: str
    rival: str
    shapes: tuple[str, ...]

    @property
    def version(self) -> str:
        """Version of the package, or an empty string where it is not installed."""
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return ""


OURS, OURS_ADM = "imagen-bench", "imagen-bench, ADM's layout"
PEERS = {
    OURS: Peer(ours, "imagen-bench", OURS, ("base", "efficient")),
    "lucidrains/imagen-pytorch": Peer(lucidrains, "imagen-pytorch", OURS, ("base", "efficient")),
    "MinImagen": Peer(minimagen, "minimagen", OURS, ("base", "efficient")),
    OURS_ADM: Peer(ours_adm, "imagen-bench", OURS_ADM, ("base", "base-adm")),
    "diffusers": Peer(diffusers, "diffusers", OURS_ADM, ("base", "base-adm")),
}
