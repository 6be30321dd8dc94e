"""Token embeddings on disk, found by content, so that a large encoder runs once per text and then leaves the machine.

One safetensors file a text, read memory-mapped. Its name is the digest of the encoder's files, the text, the longest
length and the precision: whatever changes an embedding changes the name. A file that is damaged in any way counts as
absent and is written anew.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from imagen_bench.errors import ModelError
from imagen_bench.files import atomic_path, digest_json

FORMAT = 1


class TextCache:
    """A folder of embeddings of one encoder; many processes may read and write it at once.

    Args:
        folder: made when the first text is written; encoders can share it.
        fingerprint: digest of the encoder's weights, configuration and tokenizer.
        max_length: longer texts are cut to this many tokens.
        dtype: of the encoder's weights, and of what is stored.
    """

    def __init__(self, folder: str | Path, fingerprint: str, max_length: int, dtype: torch.dtype) -> None:
        self.folder, self.dtype = Path(folder), dtype
        self._encoder = [FORMAT, fingerprint, max_length, str(dtype)]

    def path(self, text: str) -> Path:
        """Where the embedding of a text lies, or would lie."""
        key = digest_json([*self._encoder, text])
        return self.folder / key[:2] / f"{key}.safetensors"

    def holds(self, text: str) -> bool:
        """Whether there is an embedding of a text; only reading it tells whether it is sound."""
        return self.path(text).is_file()

    def get(self, text: str) -> Tensor | None:
        """The embedding (L, D) of a text in `dtype`, or None where there is none that can be trusted."""
        path = self.path(text)
        try:
            with safe_open(path, framework="pt") as opened:
                metadata, tokens = opened.metadata() or {}, opened.get_tensor("tokens")
        except (OSError, SafetensorError):
            return None
        sound = tokens.dtype == self.dtype and metadata.get("sha256") == _sha256(tokens)
        if not sound or metadata.get("key") != path.stem:
            return None
        with suppress(OSError):  # a read-only cache still serves
            os.utime(path)
        return tokens

    def put(self, text: str, tokens: Tensor) -> None:
        """Stores the embedding (L, D) of a text.

        Raises:
            ModelError: the folder cannot be written.
        """
        path, tokens = self.path(text), tokens.detach().to("cpu", self.dtype).contiguous()
        try:
            with atomic_path(path, durable=False) as temporary:
                save_file({"tokens": tokens}, temporary, metadata={"key": path.stem, "sha256": _sha256(tokens)})
        except OSError as error:
            raise ModelError(
                f"the text cache {self.folder} cannot be written ({error.strerror}): give a folder that can"
            ) from error


def _sha256(tokens: Tensor) -> str:
    shape = ",".join(map(str, tokens.shape)).encode()
    return hashlib.sha256(shape + tokens.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()
