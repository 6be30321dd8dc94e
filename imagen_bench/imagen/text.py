"""Frozen text encoders: texts -> token embeddings and mask (Imagen, section 2.1).

Any `transformers` T5 encoder by folder or hub id: the small one that ships, or T5 v1.1 up to XXL. Padding is
masked in the encoder and zeroed behind it, so an embedding never depends on the other texts of its batch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from imagen_bench.errors import ModelError
from imagen_bench.files import sha256_file


@dataclass(frozen=True)
class TextBatch:
    """Token embeddings (N, L, D) float32, zero at padding, and mask (N, L), true where a token stands."""

    tokens: Tensor
    mask: Tensor

    def to(self, device: torch.device | str) -> TextBatch:
        """The same batch on another device."""
        return TextBatch(self.tokens.to(device), self.mask.to(device))

    def dropped(self, drop: Tensor) -> TextBatch:
        """The batch with the null condition (zeros, nothing to attend to) where `drop` (N,) is true."""
        keep = ~drop.to(self.mask.device)[:, None]
        return TextBatch(self.tokens * keep[..., None], self.mask & keep)

    def null(self) -> TextBatch:
        """The null condition in this batch's shape."""
        return TextBatch(torch.zeros_like(self.tokens), torch.zeros_like(self.mask))


class TextEncoder:
    """A frozen T5 encoder.

    Args:
        source: folder in `transformers` format, or a hub id that is in the local cache.
        max_length: longer texts are cut to this many tokens; batches are padded to their longest text only.
        dtype: of the weights; embeddings come out in float32.
        cache_size: this many texts keep their embeddings in memory.

    Raises:
        ModelError: the folder or id holds no T5 encoder.
    """

    def __init__(
        self, source: str | Path, max_length: int = 128, dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu", cache_size: int = 4096,
    ) -> None:  # fmt: skip
        from transformers import AutoTokenizer, T5EncoderModel
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self.source, self.max_length, self.device = str(source), max_length, torch.device(device)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(self.source, local_files_only=True)
            model = T5EncoderModel.from_pretrained(
                self.source, local_files_only=True, dtype=dtype, use_safetensors=True
            )
        except (OSError, ValueError) as error:
            first = str(error).splitlines()[0]
            raise ModelError(
                f"{self.source} is no T5 encoder with safetensors weights that can be loaded offline: {first}"
            ) from error
        self._model = model.eval().requires_grad_(False).to(self.device)
        self.dim = int(model.config.d_model)
        self._cache: OrderedDict[str, Tensor] = OrderedDict()
        self._cache_size = cache_size

    @property
    def digest(self) -> str:
        """SHA-256 of the weights file where the source is a folder, else the hub id."""
        weights = Path(self.source) / "model.safetensors"
        return sha256_file(weights) if weights.is_file() else self.source

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> TextBatch:
        """Embeds texts; an empty string is an ordinary text, the null condition is `TextBatch.null`."""
        missing = sorted({text for text in texts if text not in self._cache}, key=len)
        if missing:
            self._remember(missing)
        rows = [self._cache[text] for text in texts]
        for text in texts:
            self._cache.move_to_end(text)
        while len(self._cache) > max(self._cache_size, len(texts)):
            self._cache.popitem(last=False)
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        return TextBatch(tokens, torch.arange(tokens.shape[1], device=self.device)[None] < lengths[:, None])

    def _remember(self, texts: list[str]) -> None:
        coded = self._tokenizer(texts, padding=True, truncation=True, max_length=self.max_length, return_tensors="pt")
        mask = coded["attention_mask"].to(self.device)
        hidden = self._model(
            input_ids=coded["input_ids"].to(self.device), attention_mask=mask
        ).last_hidden_state.float()
        for text, row, length in zip(texts, hidden, mask.sum(1).tolist(), strict=True):
            self._cache[text] = row[:length].clone()
