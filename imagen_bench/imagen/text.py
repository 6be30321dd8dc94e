"""Frozen text encoders: texts -> token embeddings and mask (Imagen, section 2.1).

T5, CLIP or BERT by folder or hub id: the small T5 that ships, or T5 v1.1 up to XXL. Padding is masked in the
encoder and zeroed behind it, so an embedding never depends on the other texts of its batch. Embeddings are kept in
memory, and on disk where a cache folder is given; then the encoder is loaded for texts that the cache lacks only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from imagen_bench.errors import ModelError
from imagen_bench.imagen.text_cache import TextCache
from imagen_bench.imagen.text_models import FAMILIES, find_encoder, load_model, load_tokenizer
from imagen_bench.suggest import did_you_mean

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


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

    def rows(self, chosen: slice) -> TextBatch:
        """Some rows of the batch."""
        return TextBatch(self.tokens[chosen], self.mask[chosen])

    def null(self) -> TextBatch:
        """The null condition in this batch's shape."""
        return TextBatch(torch.zeros_like(self.tokens), torch.zeros_like(self.mask))


class TextEncoder:
    """A frozen text encoder.

    Args:
        source: folder in `transformers` format, or a hub id that is in the local cache.
        max_length: longer texts are cut to this many tokens, or to the encoder's own limit (77 for CLIP) where that
            is less; batches are padded to their longest text only.
        dtype: of the weights; embeddings come out in float32.
        device: where the encoder runs and the embeddings come out.
        cache_size: this many texts keep their embeddings in memory.
        cache: folder that keeps them on disk. The weights are then loaded when a text is missing there.
        batch_size: texts that the encoder sees at once.
        download: fetch a hub id that is not in the local cache.

    Raises:
        ModelError: the folder or id holds no text encoder.
    """

    def __init__(
        self, source: str | Path, max_length: int = 128, dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu", cache_size: int = 4096, cache: str | Path | None = None,
        batch_size: int = 64, download: bool = False,
    ) -> None:  # fmt: skip
        self.source, self.dtype, self.device = str(source), dtype, torch.device(device)
        self._files = find_encoder(source, download)
        self.dim, self.kind = self._files.dim, self._files.kind
        self.max_length = min(max_length, self._files.positions or max_length)
        self._tokenizer = load_tokenizer(self._files)
        self._rows: OrderedDict[str, Tensor] = OrderedDict()
        self._cache_size, self._batch_size = cache_size, batch_size
        self._model: Any = None
        self._disk: TextCache | None = None
        if cache is None:
            self._load()
        else:
            self._disk = TextCache(cache, self._files.fingerprint, self.max_length, dtype)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return self._files.weights_sha256

    @property
    def loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._model is not None

    def free(self) -> None:
        """Drops the weights. Embeddings that are cached are still served; another text loads the weights again."""
        self._model = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def keep(self, texts: Sequence[str]) -> int:
        """Puts the embeddings of texts on disk, those that are there already left alone, and keeps none in memory.

        Returns:
            The number of texts that the encoder had to embed.

        Raises:
            ModelError: there is no cache folder, or it cannot be written.
        """
        if self._disk is None:
            raise ModelError(f"{self.source} was opened without a cache: give a folder to keep embeddings in")
        missing = sorted((text for text in dict.fromkeys(texts) if not self._disk.holds(text)), key=len)
        for start in range(0, len(missing), self._batch_size):
            batch = missing[start : start + self._batch_size]
            self._encode(batch)
            for text in batch:
                del self._rows[text]
        return len(missing)

    def __enter__(self) -> TextEncoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.free()

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> TextBatch:
        """Embeds texts; an empty string is an ordinary text, the null condition is `TextBatch.null`.

        Raises:
            ModelError: the encoder overflowed, as T5 does in float16.
        """
        self._remember(dict.fromkeys(text for text in texts if text not in self._rows))
        rows = [self._rows[text].float() for text in texts]
        for text in texts:
            self._rows.move_to_end(text)
        while len(self._rows) > max(self._cache_size, len(texts)):
            self._rows.popitem(last=False)
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        return TextBatch(tokens, torch.arange(tokens.shape[1], device=self.device)[None] < lengths[:, None])

    def _remember(self, texts: Iterable[str]) -> None:
        """Takes texts from the disk, and has the encoder embed the rest, texts of like length together."""
        missing = []
        for text in texts:
            stored = None if self._disk is None else self._disk.get(text)
            if stored is None:
                missing.append(text)
            else:
                self._rows[text] = stored.to(self.device)
        missing.sort(key=len)
        for start in range(0, len(missing), self._batch_size):
            self._encode(missing[start : start + self._batch_size])

    @torch.no_grad()
    def _encode(self, texts: list[str]) -> None:
        if self._model is None:
            self._load()
        coded = self._tokenizer(texts, padding=True, truncation=True, max_length=self.max_length, return_tensors="pt")
        mask, layer = coded["attention_mask"].to(self.device), FAMILIES[self.kind].layer
        output = self._model(
            input_ids=coded["input_ids"].to(self.device), attention_mask=mask, output_hidden_states=layer != -1
        )
        hidden = output.last_hidden_state if layer == -1 else output.hidden_states[layer]
        for text, row, length in zip(texts, hidden.to(self.dtype), mask.sum(1).tolist(), strict=True):
            if not bool(row[:length].isfinite().all()):
                raise ModelError(f"{self.source} overflows in {self.dtype}: load it in bfloat16 or float32")
            self._rows[text] = row[:length].clone()
            if self._disk is not None:
                self._disk.put(text, self._rows[text])

    def _load(self) -> None:
        self._model = load_model(self._files, self.dtype).to(self.device)


def open_text_encoder(
    name_or_path: str | Path, max_length: int = 128, dtype: str = "float32", device: torch.device | str = "cpu",
    cache: str | Path | None = None, download: bool = False,
) -> TextEncoder:  # fmt: skip
    """Opens a T5, CLIP or BERT text encoder; which of them, its own configuration says.

    Args:
        name_or_path: folder, or a hub id such as "google/t5-v1_1-xxl", "openai/clip-vit-large-patch14" or
            "google-bert/bert-large-uncased".
        max_length: longer texts are cut to this many tokens.
        dtype: of the weights: "float32", "bfloat16" or "float16" (T5 overflows in float16).
        device: where it runs.
        cache: folder that keeps the embeddings on disk.
        download: fetch a hub id that is not in the local cache.

    Raises:
        ModelError: no such encoder, or an unknown dtype.
    """
    if dtype not in DTYPES:
        raise ModelError(f"unknown dtype {dtype!r} of a text encoder: {did_you_mean(dtype, DTYPES)}")
    return TextEncoder(name_or_path, max_length, DTYPES[dtype], device, cache=cache, download=download)
