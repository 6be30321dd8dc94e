"""The options that a user may set of a metric, checked: `[scores.options.kid] subsets = 100`."""

from __future__ import annotations

from typing import TypeVar

from imagen_bench.config import Section, validate
from imagen_bench.metrics.base import MetricContext

OptionsT = TypeVar("OptionsT", bound=Section)


class NoOptions(Section):
    """Options of a metric that has none."""


def read_options(model: type[OptionsT], context: MetricContext, name: str) -> OptionsT:
    """Return what the user set of the options of metric `name`, and the defaults of the rest.

    Raises:
        ConfigError: An unknown option, or a value that it cannot have.
    """
    return validate(model, dict(context.options), f"options of metric {name!r}")
