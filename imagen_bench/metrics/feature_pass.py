"""One pass over images for several feature spaces: each image is decoded once, each network runs once.

Decoding, and what networks do with single images (`prepare`), happens in threads while the networks compute.
Results come in the order of the images and do not depend on the number of threads or on the batch size.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch

from imagen_bench.metrics.extractors import ImageExtractor, ImageNetwork, NetworkLayer

Features = npt.NDArray[np.float32]
Decode = Callable[[], torch.Tensor]
"""Returns one image, uint8 RGB, 3 x H x W."""
_MOST_THREADS = 16
# Images decoded ahead of the batch at work, in batches.
_AHEAD = 2


@dataclass(frozen=True)
class _Group:
    """A network and which spaces its layers are."""

    network: ImageNetwork
    layers: Mapping[str, str]

    def features(self, prepared: Sequence[torch.Tensor]) -> dict[str, Features]:
        found = self.network.forward(prepared, list(dict.fromkeys(self.layers.values())))
        return {space: found[layer].numpy() for space, layer in self.layers.items()}


class FeaturePass:
    """Extracts several feature spaces of the same images together.

    Args:
        extractors: Extractor of each space, by any name.
        threads: Threads that decode; None for as many as the process may use cores.
    """

    def __init__(self, extractors: Mapping[str, ImageExtractor], threads: int | None = None) -> None:
        self.extractors = dict(extractors)
        self._groups = _grouped(self.extractors)
        self._threads = threads or _usable_threads()

    def features(self, decoders: Iterable[Decode], batch_size: int) -> Iterator[dict[str, Features]]:
        """Yield the features of each batch, float32 N x D by space, in the order of the images.

        Args:
            decoders: One callable an image; called from threads, each once, a few batches ahead.
            batch_size: Images a forward pass.

        Raises:
            InputError: Of the first image, in order, that cannot be read.
        """
        source = iter(decoders)
        waiting: deque[Future[list[torch.Tensor]]] = deque()
        executor = ThreadPoolExecutor(self._threads, thread_name_prefix="decode")
        try:
            while True:
                wanted = (1 + _AHEAD) * batch_size - len(waiting)
                waiting.extend(executor.submit(self._prepare, decode) for decode in islice(source, wanted))
                if not waiting:
                    return
                batch = [waiting.popleft().result() for _ in range(min(batch_size, len(waiting)))]
                yield self._forward(batch)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)

    def _prepare(self, decode: Decode) -> list[torch.Tensor]:
        image = decode()
        return [group.network.prepare(image) for group in self._groups]

    def _forward(self, batch: Sequence[Sequence[torch.Tensor]]) -> dict[str, Features]:
        found: dict[str, Features] = {}
        for number, group in enumerate(self._groups):
            found.update(group.features([prepared[number] for prepared in batch]))
        return {space: found[space] for space in self.extractors}


class _WholeExtractor:
    """An extractor without a network of its own, as a network of one layer."""

    def __init__(self, extractor: ImageExtractor) -> None:
        self._extractor = extractor

    def prepare(self, image: torch.Tensor) -> torch.Tensor:
        return image

    def forward(self, prepared: Sequence[torch.Tensor], layers: Sequence[str]) -> Mapping[str, torch.Tensor]:
        return dict.fromkeys(layers, self._extractor.image_features(prepared))


def _grouped(extractors: Mapping[str, ImageExtractor]) -> list[_Group]:
    networks: dict[int, tuple[ImageNetwork, dict[str, str]]] = {}
    for space, extractor in extractors.items():
        if isinstance(extractor, NetworkLayer):
            network, layer = extractor.network, extractor.layer
        else:
            network, layer = _WholeExtractor(extractor), "image"
        networks.setdefault(id(network), (network, {}))[1][space] = layer
    return [_Group(network, layers) for network, layers in networks.values()]


def _usable_threads() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST_THREADS)
