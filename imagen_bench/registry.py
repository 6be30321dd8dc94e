"""Names that users write (a generator, a metric, a prompt set) and what stands behind them.

Built-ins and plug-ins use the same door: `@registry.register("name")`. A plug-in package names its objects in
an entry-point group (`imagen_bench.generators`, `imagen_bench.metrics`, `imagen_bench.prompts`); these, and
the modules of the built-ins, are imported when a name is first missed or all names are listed, so that
importing a registry costs nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from imagen_bench.errors import ConfigError
from imagen_bench.suggest import did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """A checked mapping from names to objects of one kind.

    Args:
        kind: What the names stand for, as error messages say it: "generator", "metric".
        entry_points: Entry-point group through which other packages add names; None for a closed registry.
        modules: Modules of the built-ins, imported when they are first needed; each registers its own names.
    """

    def __init__(self, kind: str, entry_points: str | None = None, modules: Sequence[str] = ()) -> None:
        self.kind = kind
        self._group = entry_points
        self._modules = tuple(modules)
        self._items: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that adds its object under `name` and hands it back unchanged.

        Raises:
            ConfigError: The name is taken by another object.
        """

        def add(item: T) -> T:
            if self._items.setdefault(name, item) is not item:
                raise ConfigError(f"{self.kind} {name!r} is registered twice: choose another name for one of them")
            return item

        return add

    def get(self, name: str) -> T:
        """Return what is registered under `name`.

        Raises:
            ConfigError: The name is unknown, or a plug-in failed to load while looking for it.
        """
        if name not in self._items:
            self._load()
        if name not in self._items:
            raise ConfigError(f"unknown {self.kind} {name!r}: {did_you_mean(name, self._items)}")
        return self._items[name]

    def names(self) -> tuple[str, ...]:
        """Return all names, sorted, those of plug-ins included.

        Raises:
            ConfigError: A plug-in failed to load.
        """
        self._load()
        return tuple(sorted(self._items))

    def _load(self) -> None:
        if self._loaded:
            return
        for module in self._modules:
            importlib.import_module(module)
        if self._group is not None:
            for point in entry_points(group=self._group):
                self.register(point.name)(self._load_plugin(point))
        self._loaded = True

    def _load_plugin(self, point: EntryPoint) -> T:
        package = point.dist.name if point.dist is not None else "unknown package"
        try:
            item: T = point.load()
        except Exception as error:
            raise ConfigError(
                f"{self.kind} plug-in {point.name!r} ({point.value}, from {package}) failed to load: "
                f"{type(error).__name__}: {error}; mend or uninstall {package}"
            ) from error
        return item
