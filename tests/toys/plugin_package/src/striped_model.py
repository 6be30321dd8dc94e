"""A text-to-image model of another package: stripes of the seed's colours, the more of them the higher the weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


class StripedModel:
    """Everything that a generator needs: a name, a description and images."""

    def __init__(self, name: str, size: int) -> None:
        self.name, self.size = name, size

    def describe(self) -> dict[str, Any]:
        return {"generator": "striped", "size": self.size}

    def generate(self, prompts: Sequence[str], seeds: Sequence[int], guidance_weight: float) -> torch.Tensor:
        return torch.stack([self._draw(seed, round(guidance_weight) + 1) for seed in seeds])

    def _draw(self, seed: int, stripes: int) -> torch.Tensor:
        # Each sample has a generator of its own, so that its image never depends on the batch.
        colors = torch.randint(0, 256, (stripes, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
        rows = colors[torch.arange(self.size) * stripes // self.size]
        return rows.T[:, :, None].expand(3, self.size, self.size).contiguous()


def open_striped(name: str, options: dict[str, Any]) -> StripedModel:
    """Open the model that draws stripes; `size` is its only option."""
    return StripedModel(name, int(options.get("size", 16)))
