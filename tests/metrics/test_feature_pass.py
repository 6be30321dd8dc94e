"""One pass over images: decoded once, one forward a network, and results that no thread or batch size moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pytest
import torch

from imagen_bench.errors import InputError
from imagen_bench.metrics.extractors import LayerExtractor
from imagen_bench.metrics.feature_pass import FeaturePass


class Network:
    """Its layers are the mean and the sum of an image; it counts what it is asked for."""

    def __init__(self) -> None:
        self.prepared = 0
        self.forwards: list[list[str]] = []
        self._lock = threading.Lock()

    def prepare(self, image: torch.Tensor) -> torch.Tensor:
        with self._lock:
            self.prepared += 1
        return image.float()

    def forward(self, prepared: Sequence[torch.Tensor], layers: Sequence[str]) -> Mapping[str, torch.Tensor]:
        self.forwards.append(list(layers))
        stacked = torch.stack(list(prepared)).flatten(1)
        found = {"mean": stacked.mean(dim=1, keepdim=True), "sum": stacked.sum(dim=1, keepdim=True)}
        return {layer: found[layer] for layer in layers}

    def extractor(self, layer: str) -> LayerExtractor:
        return LayerExtractor(self, layer, f"toy-{layer}", layer, 1)


class Whole:
    """An extractor that knows nothing of networks."""

    id, short_name, dim = "whole", "whole", 1

    def image_features(self, images: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.tensor([[float(image.max())] for image in images])


def image(value: int, seconds: float = 0.0) -> torch.Tensor:
    time.sleep(seconds)
    return torch.full((3, 2, 2), value, dtype=torch.uint8)


@pytest.mark.parametrize(("threads", "batch_size"), [(1, 1), (1, 4), (7, 3), (2, 100)])
def test_order_holds_for_any_threads_and_batches(threads: int, batch_size: int) -> None:
    network = Network()
    spaces = {"b": network.extractor("sum"), "a": network.extractor("mean"), "w": Whole()}
    # Later images are the faster ones.
    decoders = [partial(image, value, 0.002 * (10 - value)) for value in range(10)]
    batches = list(FeaturePass(spaces, threads).features(decoders, batch_size))
    assert [list(batch) for batch in batches] == [["b", "a", "w"]] * len(batches)
    assert [len(batch["a"]) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    for space, factor in (("a", 1), ("b", 12), ("w", 1)):
        found = np.concatenate([batch[space] for batch in batches])[:, 0]
        np.testing.assert_array_equal(found, factor * np.arange(10))
        assert found.dtype == np.float32
    assert network.prepared == 10
    assert network.forwards == [["sum", "mean"]] * len(batches)


def test_the_first_broken_image_is_the_one_that_is_told() -> None:
    def broken(name: str, seconds: float) -> torch.Tensor:
        time.sleep(seconds)
        raise InputError(name)

    decoders: list[Callable[[], torch.Tensor]] = [partial(image, 1), partial(broken, "first", 0.05)]
    decoders += [partial(broken, "second", 0.0), partial(image, 2)]
    with pytest.raises(InputError, match="first"):
        list(FeaturePass({"a": Network().extractor("mean")}, 4).features(decoders, 4))


def test_no_more_than_a_few_batches_are_decoded_ahead() -> None:
    decoded: list[int] = []

    def decode(value: int) -> torch.Tensor:
        decoded.append(value)
        return image(value)

    passing = FeaturePass({"a": Network().extractor("mean")}, 4).features([partial(decode, 0)] * 100, 5)
    next(passing)
    assert len(decoded) <= 15
    passing.close()


def test_no_images_give_no_batches() -> None:
    assert list(FeaturePass({"a": Network().extractor("mean")}).features([], 4)) == []
