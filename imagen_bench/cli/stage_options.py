"""The `--stage` options of `generate`: where a cascade stops, and settings of single stages."""

from __future__ import annotations

from collections.abc import Sequence

import click

CASCADE = "cascade"


def stage_overrides(values: Sequence[str], whole: bool = False) -> list[str]:
    """Turn `--stage` values into overrides of the generator's options.

    Args:
        values: "sr256" or "cascade" says where to stop; "sr256.guidance=8" sets an option of that stage.
        whole: run the whole cascade where no value says where to stop.

    Returns:
        `dotted.key=value` strings, such as "stage=sr256". Settings of a super-resolution stage without a stop run
        the whole cascade.

    Raises:
        click.UsageError: Two stops, or a setting that names no stage.
    """
    settings = [value for value in values if "=" in value]
    stops = [value for value in values if "=" not in value]
    if len(stops) > 1:
        raise click.UsageError(f"--stage names two stages to stop at, {stops[0]} and {stops[1]}; name one.")
    for setting in [*settings, *(stop for stop in stops if "." in stop)]:
        stage, dot, key = setting.partition("=")[0].partition(".")
        if not (stage.strip() and dot and key.strip() and "=" in setting):
            raise click.UsageError(f"--stage {setting} is not of the form STAGE.OPTION=VALUE, such as base.steps=50.")
    enlarges = any(not setting.startswith("base.") for setting in settings)
    if not stops and (enlarges or whole):
        stops = [CASCADE]
    return [*settings, *(f"stage={stop}" for stop in stops)]
