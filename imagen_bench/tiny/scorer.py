"""Trains the small CLIP model that ships as scorer and feature extractor of the bundled benchmark.

The result is an ordinary open_clip folder (open_clip_config.json, open_clip_model.safetensors, tokenizer
files), so that it is loaded through the same code as any open_clip model. Objective: CLIP's symmetric
cross-entropy (Radford et al. 2021).
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from safetensors.torch import save_file
from torch import Tensor

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


class ScorerConfig(BaseModel):
    """Size and training recipe of the small CLIP."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embed_dim: int = 64
    image_size: int = 64
    patch_size: int = 8
    width: int = 128
    vision_layers: int = 4
    text_layers: int = 3
    heads: int = 4
    context_length: int = 32
    steps: int = 3000
    batch_size: int = 128
    learning_rate: float = 1e-3
    warmup: int = 200
    seed: int = 0
    log_every: int = 50
    save_every: int = 500


Pairs = Callable[[int], tuple[Tensor, list[str]]]


def model_config(config: ScorerConfig, vocab_size: int) -> dict[str, Any]:
    """open_clip's description of the model; the tokenizer is the one in its own folder."""
    return {
        "embed_dim": config.embed_dim,
        "vision_cfg": {
            "image_size": config.image_size, "patch_size": config.patch_size, "width": config.width,
            "layers": config.vision_layers, "head_width": config.width // config.heads,
        },
        "text_cfg": {
            "context_length": config.context_length, "vocab_size": vocab_size, "width": config.width,
            "heads": config.heads, "layers": config.text_layers, "pool_type": "eos", "eos_id": 1, "pad_id": 0,
            "hf_tokenizer_name": "tokenizer",
        },
    }  # fmt: skip


def train_scorer(
    pairs: Pairs, tokenizer_folder: Path, config: ScorerConfig, out: Path,
    log: Callable[[dict[str, float]], None] | None = None,
) -> None:  # fmt: skip
    """Trains the model and writes the open_clip folder.

    Args:
        pairs: step -> (images uint8 NCHW of `image_size`, captions); must depend on the step alone.
        tokenizer_folder: folder with tokenizer files; copied beside the weights.
        config: sizes and recipe.
        out: folder to write.
        log: called now and then with step, loss and in-batch retrieval accuracy.
    """
    import open_clip
    from transformers import AutoTokenizer

    torch.manual_seed(config.seed)
    tokenizer = AutoTokenizer.from_pretrained(str(tokenizer_folder), local_files_only=True)
    described = model_config(config, len(tokenizer))
    model = open_clip.CLIP(**described)
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.steps, pct_start=config.warmup / config.steps
    )
    started = time.monotonic()
    for step in range(config.steps):
        images, captions = pairs(step)
        tokens = _tokenize(tokenizer, captions, config.context_length)
        loss, accuracy = contrastive_loss(model, normalise(images), tokens)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6052)
        if log is not None and step % config.log_every == 0:
            log(
                {
                    "step": step,
                    "loss": loss.item(),
                    "accuracy": accuracy.item(),
                    "seconds": time.monotonic() - started,
                }
            )
        if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
            _save(model, described, tokenizer_folder, out)


def normalise(images: Tensor) -> Tensor:
    """uint8 NCHW -> float32, by the mean and deviation in the written preprocess_cfg (0.5 each)."""
    return images.float().div_(127.5).sub_(1.0)


def contrastive_loss(model: Any, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric cross-entropy over the batch; equal captions are no negatives of each other.

    Returns:
        The loss, and how often the right caption scores highest.
    """
    image, text, scale = model(images, tokens)[:3]
    same = (tokens[:, None] == tokens[None]).all(-1) & ~torch.eye(len(tokens), dtype=torch.bool)
    logits = (scale * image @ text.T).masked_fill(same, -1e4)
    target = torch.arange(len(tokens))
    loss = 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))
    return loss, (logits.argmax(1) == target).float().mean()


def _tokenize(tokenizer: Any, captions: list[str], length: int) -> Tensor:
    coded = tokenizer(captions, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    ids: Tensor = coded["input_ids"]
    return ids


def _save(model: Any, described: dict[str, Any], tokenizer_folder: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    half = {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}
    save_file(half, out / "open_clip_model.safetensors", metadata={"format": "pt"})
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    (out / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": described, "preprocess_cfg": preprocess}, indent=2) + "\n", encoding="utf-8"
    )
    for name in TOKENIZER_FILES:
        if (tokenizer_folder / name).is_file():
            shutil.copyfile(tokenizer_folder / name, out / name)
