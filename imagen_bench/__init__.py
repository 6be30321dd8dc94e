"""Benchmarks for text-to-image models, with an implementation of Imagen inside.

Importing the package does no work and pulls in no heavy library; import the part you need, for example
`imagen_bench.metrics.frechet` or `imagen_bench.bench.run`.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Look the version up in the installed metadata, on first use only."""
    if name == "__version__":
        from importlib.metadata import version

        return version("imagen-bench")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
