"""Where the files that ship with the package lie: prompt sets, models and report templates.

An installed package holds them under `imagen_bench/_assets/`; a source checkout holds the same folders beside
`pyproject.toml`. `asset` looks in that order.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from imagen_bench.errors import AssetError
from imagen_bench.suggest import did_you_mean

SHIPPED = ("drawbench", "models", "reports/templates")


def asset(name: str) -> Path:
    """Return the path of a shipped file or folder.

    Args:
        name: Relative path with forward slashes below one of `SHIPPED`, such as `models/imagen-emoji`.

    Raises:
        AssetError: The name is not below a shipped folder, or nothing lies there.
    """
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not any(pure.is_relative_to(top) for top in SHIPPED):
        raise AssetError(f"{name!r} is no shipped file: expected a path below one of {', '.join(SHIPPED)}")
    roots = _roots()
    for root in roots:
        if (root / pure).exists():
            return root / pure
    siblings = {entry.name for root in roots for entry in _entries(root / pure.parent)}
    raise AssetError(
        f"shipped file {name!r} is missing below {' or '.join(map(str, roots)) or 'the package'}: "
        f"{did_you_mean(pure.name, siblings)}; if the name is right, install imagen-bench again"
    )


def _roots() -> list[Path]:
    """Return the folders to look in: the installed assets, then the checkout if this is one."""
    package = Path(__file__).resolve().parent
    candidates = [package / "_assets"]
    # Without this guard, a stray `models` folder in site-packages would be taken for ours.
    if (package.parent / "pyproject.toml").is_file():
        candidates.append(package.parent)
    return [folder for folder in candidates if folder.is_dir()]


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
