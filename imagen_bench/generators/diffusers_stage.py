"""One pipeline of `diffusers` as a stage: how it is called, its guidance argument, its noise, its safety checker."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imagen_bench.errors import ConfigError, ModelError
from imagen_bench.generators.diffusers_files import PipelineFiles, first_line, networks, scheduler_config
from imagen_bench.generators.diffusers_options import PipelineOptions, SuperResolutionStage
from imagen_bench.imagen.cascade import stage_seed
from imagen_bench.images import to_pil
from imagen_bench.suggest import did_you_mean

_NEEDS_IMAGE = re.compile(r"Img2Img|Inpaint|Upscale|SuperResolution|ControlNet|Adapter|Edit|InstructPix2Pix|Video")
_OURS = ("prompt", "negative_prompt", "image", "generator", "output_type", "return_dict", "height", "width",
         "num_inference_steps", "num_images_per_prompt", "latents")  # fmt: skip
_FLAGS = {
    "nsfw_content_detected": "not safe for work",
    "nsfw_detected": "not safe for work",
    "watermark_detected": "a watermark",
}


class PipelineStage:
    """A loaded pipeline that draws from text, or enlarges.

    Args:
        name: Of the stage.
        files: Where the pipeline was loaded from.
        pipeline: The pipeline, on its device.
        options: How it is called.
        before: The stage whose images this one enlarges.
    """

    def __init__(
        self, name: str, files: PipelineFiles, pipeline: Any, options: PipelineOptions, before: PipelineStage | None
    ) -> None:
        self.name, self.pipeline = name, pipeline
        self._files, self._options, self._before = files, options, before
        self._guidance = guidance_argument(_parameters(files), options, files)
        self._embedded = self._guidance == "guidance_scale" and embeds_guidance(files)
        self._further = {**_caption_cleaning(_parameters(files)), **options.call}
        self._draws_alone = False

    @property
    def draws_alone(self) -> bool:
        """Whether it was found to use torch's global generator, and so draws one sample at a time."""
        return self._draws_alone

    @property
    def output_side(self) -> int:
        """Shorter side of its images in pixels.

        Raises:
            ModelError: Neither its options nor its network say so.
        """
        chosen = [side for side in (self._options.height, self._options.width) if side is not None]
        if chosen:
            return min(chosen)
        if "Upscale" in self._files.class_name and self._before is not None:
            return self._before.output_side * 4
        sizes = [getattr(network.config, "sample_size", None) for network in networks(self.pipeline)]
        if not sizes or sizes[0] is None:
            raise ModelError(
                f"{self._files.source} does not say how large its images are: set options.height and width"
            )
        side = sizes[0] if isinstance(sizes[0], int) else min(sizes[0])
        return int(side) * int(getattr(self.pipeline, "vae_scale_factor", 1))

    def describe(self) -> dict[str, Any]:
        """Return what decides its images, as JSON-able values."""
        options = self._options.model_dump(mode="json", include=_DESCRIBED)
        known = _parameters(self._files)
        for name, argument in (("steps", "num_inference_steps"), ("guidance_weight", self._guidance)):
            if name in options and options[name] is None and argument in known:
                options[name] = known[argument].default
        folder = Path(self._files.source)
        return {
            "model": folder.name if folder.is_dir() else self._files.source,
            "class": self._files.class_name,
            "weights_sha256": self._files.weights_sha256(),
            "scheduler": scheduler_config(self.pipeline),
            "guidance": f"{self._guidance}, {'embedded (distilled), not w' if self._embedded else 'classifier-free'}",
            "options": options | {"call": self._further},
        }

    def check_weight(self, weight: float) -> None:
        """Refuse a guidance weight that the pipeline would take for another.

        Raises:
            ModelError: It is below 1, and guidance is classifier-free.
        """
        if weight < 1 and not self._embedded:
            raise ModelError(
                f"{self._files.source}: diffusers does not guide below w = 1 and would draw the images of w = 1 at "
                f"w = {weight:g}; expected weights of at least 1"
            )

    def draw(
        self, prompts: Sequence[str], seeds: Sequence[int], weight: float | None, images: Tensor | None
    ) -> tuple[Tensor, dict[int, str]]:
        """Draw one image a prompt.

        Args:
            prompts: N texts.
            seeds: N seeds.
            weight: Guidance weight; that of the stage's options, or the pipeline's own default, where not given.
            images: What to enlarge, uint8 N3hw.

        Returns:
            Images uint8 N3HW, and for each row that the safety checker blacked out, why.

        Raises:
            ModelError: The pipeline failed, drew NaN, or cannot guide at this weight.
        """
        if weight is None and isinstance(self._options, SuperResolutionStage):
            weight = self._options.guidance_weight
        if weight is not None:
            self.check_weight(weight)
        # The first stage keeps the sample's own seed, so that its image can be drawn with diffusers alone.
        own = list(seeds) if self._before is None else [stage_seed(seed, self.name) for seed in seeds]
        if not self._draws_alone:
            drawn, touched = self._call(prompts, own, weight, images)
            if not touched or len(prompts) == 1:
                return drawn
            self._draws_alone = True
        # Noise from the global generator: as the sample's own only if the sample is drawn by itself.
        rows = [
            self._call(
                prompts[row : row + 1], own[row : row + 1], weight, None if images is None else images[row : row + 1]
            )[0]
            for row in range(len(prompts))
        ]
        flagged = {row: flags[0] for row, (_, flags) in enumerate(rows) if flags}
        return torch.cat([image for image, _ in rows]), flagged

    def _call(
        self, prompts: Sequence[str], seeds: Sequence[int], weight: float | None, images: Tensor | None
    ) -> tuple[tuple[Tensor, dict[int, str]], bool]:
        """Images and flags of a batch, and whether it drew from the global generators of torch."""
        arguments = self._arguments(prompts, seeds, weight, images)
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() and torch.cuda.is_initialized() else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seeds[0])
            before = _random_state(devices)
            try:
                output = self.pipeline(**arguments)
            except Exception as error:
                raise ModelError(
                    f"{self._files.source} failed: {type(error).__name__}: {first_line(error)}; --debug shows where"
                ) from error
            touched = not all(map(torch.equal, before, _random_state(devices)))
        return (_to_uint8(output.images, len(prompts), self._files.source), _flags(output)), touched

    def _arguments(
        self, prompts: Sequence[str], seeds: Sequence[int], weight: float | None, images: Tensor | None
    ) -> dict[str, Any]:
        options, known = self._options, _parameters(self._files)
        arguments: dict[str, Any] = {
            "prompt": list(prompts),
            "generator": [torch.Generator().manual_seed(seed) for seed in seeds],
            "output_type": "np",
            **self._further,
        }
        given = {
            self._guidance: weight,
            "num_inference_steps": options.steps,
            "height": options.height,
            "width": options.width,
        }
        arguments |= {key: value for key, value in given.items() if value is not None}
        negative = options.negative_prompt
        if negative is None and self._guidance == "true_cfg_scale" and weight is not None and weight > 1:
            # Such pipelines guide only if they are told what away from.
            negative = ""
        if negative is not None and "negative_prompt" in known:
            arguments["negative_prompt"] = [negative] * len(prompts)
        if images is not None:
            arguments["image"] = [to_pil(image) for image in images]
        return arguments


_DESCRIBED = {*PipelineOptions.model_fields, "guidance_weight"} - {"scheduler", "scheduler_options"}


def check_caller(files: PipelineFiles, options: PipelineOptions, enlarges: bool) -> None:
    """Check that a pipeline draws from text (or enlarges) and takes the arguments that the options name.

    Raises:
        ModelError: It is of another kind.
        ConfigError: It does not take an argument.
    """
    known = _parameters(files)
    if not {"prompt", "generator", "output_type"} <= known.keys():
        raise ModelError(f"{files.source!r} is a {files.class_name}, which draws no images from text")
    if enlarges and "image" not in known:
        raise ModelError(f"{files.source!r} is a {files.class_name}, which enlarges no images: name it as the model")
    if not enlarges and _NEEDS_IMAGE.search(files.class_name):
        raise ModelError(
            f"{files.source!r} is a {files.class_name}, which starts from an image: name the model that draws from "
            "text, and this one under options.stages"
        )
    for key in options.call:
        if key in _OURS or key not in known:
            names = set(known) - set(_OURS) - {"self"}
            raise ConfigError(
                f"model.options.call: {files.class_name} has no {key!r} to set: {did_you_mean(key, names)}"
            )
    for key in ("height", "width", "negative_prompt"):
        if getattr(options, key) is not None and key not in known:
            raise ConfigError(f"model.options.{key}: {files.class_name} does not take it; leave it out")
    guidance_argument(known, options, files)


def guidance_argument(known: Mapping[str, Any], options: PipelineOptions, files: PipelineFiles) -> str:
    """Return the argument of the pipeline's call that takes the guidance weight.

    Raises:
        ConfigError: The pipeline has none, or not the one that is asked for.
    """
    candidates = [name for name in known if "guidance" in name or "cfg" in name]
    wanted = options.guidance_argument
    if wanted is None:
        wanted = next((name for name in ("true_cfg_scale", "guidance_scale") if name in known), None)
        if wanted == "true_cfg_scale" and "guidance_scale" in known and embeds_guidance(files):
            wanted = "guidance_scale"
    if wanted is None or wanted not in known:
        raise ConfigError(
            f"{files.class_name} takes no guidance weight as {wanted or 'guidance_scale'!r}: set "
            f"model.options.guidance_argument to one of {', '.join(candidates) or 'none that it has'}"
        )
    return wanted


def embeds_guidance(files: PipelineFiles) -> bool:
    """Whether the network was distilled to take guidance as an input: then the number is not Imagen's w."""
    for part in ("transformer", "unet"):
        path = files.folder / part / "config.json"
        config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if config.get("guidance_embeds") or config.get("time_cond_proj_dim") is not None:
            return True
    return False


def _caption_cleaning(known: Mapping[str, Any]) -> dict[str, bool]:
    """Whether prompts are cleaned, said outright: by itself that would depend on what else is installed."""
    if "clean_caption" not in known:
        return {}
    can = all(importlib.util.find_spec(name) is not None for name in ("bs4", "ftfy"))
    return {"clean_caption": bool(known["clean_caption"].default) and can}


def _parameters(files: PipelineFiles) -> Mapping[str, Any]:
    return inspect.signature(files.pipeline_class.__call__).parameters


def _random_state(devices: Sequence[int]) -> list[Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in devices)]


def _flags(output: Any) -> dict[int, str]:
    """Row -> why the safety checker blacked it out."""
    flagged: dict[int, str] = {}
    for attribute, what in _FLAGS.items():
        for row, found in enumerate(getattr(output, attribute, None) or []):
            if found:
                flagged.setdefault(row, f"blacked out by the safety checker: {what}")
    return flagged


def _to_uint8(images: Any, count: int, source: str) -> Tensor:
    """Float images NHWC in [0, 1] as uint8 NCHW, rounded as diffusers does for PIL."""
    pixels = np.asarray(images, dtype=np.float32)
    if pixels.ndim != 4 or pixels.shape[0] != count or pixels.shape[3] != 3:
        raise ModelError(f"{source} drew {' x '.join(map(str, pixels.shape))}, expected {count} x H x W x 3")
    if not np.isfinite(pixels).all():
        raise ModelError(f"{source} drew NaN or infinite pixels: use dtype = 'float32' or 'bfloat16'")
    return torch.from_numpy((pixels * 255).round().clip(0, 255).astype(np.uint8)).permute(0, 3, 1, 2).contiguous()
