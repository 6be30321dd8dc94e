"""Configurations by path, or by the short name of one that ships."""

from __future__ import annotations

from pathlib import Path

import click


def config_file(config: Path) -> Path:
    """Return a configuration's file: the path itself, or one that ships below models/.

    Raises:
        click.BadParameter: There is neither.
    """
    from imagen_bench.assets import asset
    from imagen_bench.errors import AssetError

    if config.is_file():
        return config
    try:
        shipped = asset(f"models/{config.as_posix()}")
    except AssetError:
        shipped = config
    if not shipped.is_file():
        raise click.BadParameter(
            f"no file {str(config)!r} here, and no configuration of that name ships", param_hint="CONFIG"
        )
    return shipped
