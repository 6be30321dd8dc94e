"""The errors of the package, all below one base.

    ImagenBenchError
    ├── ConfigError      a configuration file, override or registered name is wrong
    ├── AssetError       a file that ships with the package is missing
    ├── InputError       an image, caption or prompt file is broken or does not fit
    ├── ModelError       a model or its weights are unknown or broken
    ├── ProtocolError    scores made by different protocols would be mixed
    ├── RunFolderError   a run folder belongs to another configuration, or is broken
    └── WorkerError      another process of the same job ended

A message is one line: what was found, what was expected, what to do. The command line prints it as
`error: <message>` and exits with status 1.
"""

from __future__ import annotations


class ImagenBenchError(Exception):
    """Base of every error that the package raises on purpose."""

    def __str__(self) -> str:
        r"""Return the message; characters that would act on a terminal, as a file may hold, are written as \x1b."""
        return "".join(char if char.isprintable() or char in "\n\t" else _escaped(char) for char in super().__str__())


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


class ConfigError(ImagenBenchError):
    """A configuration file, an override, or a name looked up in a registry is wrong."""


class AssetError(ImagenBenchError):
    """A file that ships with the package is not where it should be."""


class InputError(ImagenBenchError):
    """An image, caption, prompt or answer file is broken or does not fit the others."""


class ModelError(ImagenBenchError):
    """A model or its weights are unknown, incomplete or broken."""


class ProtocolError(ImagenBenchError):
    """Scores made by different protocols would end up in one table or plot."""


class RunFolderError(ImagenBenchError):
    """A run folder belongs to another configuration, is unfinished, or is broken."""


class WorkerError(ImagenBenchError):
    """Another process of the same job ended, so that this one cannot go on."""
