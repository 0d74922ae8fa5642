"""Named values that are found by walking a package: to add one, add one file."""

import difflib
import importlib
import pkgutil
import threading
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from tl_core.errors import UsageError


class Named(Protocol):
    """A value that carries its own name."""

    @property
    def name(self) -> str:
        """The name, in lower case with underscores."""
        ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Values by name, in the order they were added. A duplicate raises; a near miss suggests the right name.

    Case and hyphens do not matter: "EfficientNet-Lite0" finds efficientnet_lite0.
    """

    def __init__(self, noun: str, package: str) -> None:
        self.noun = noun
        self._package = package
        self._values: dict[str, T] = {}
        self._discovered = False
        self._lock = threading.RLock()  # a second thread waits until every module is imported

    def add(self, value: T) -> T:
        """Register `value` under its own name. Raises ValueError where the name is taken."""
        if value.name in self._values:
            raise ValueError(f"{self.noun} {value.name!r} is registered twice")
        self._values[value.name] = value
        return value

    def __getitem__(self, name: str) -> T:
        self._discover()
        if name not in self._values:
            plain = name.strip().lower().replace("-", "_").replace(" ", "_")
            if plain in self._values:
                return self._values[plain]
            near = difflib.get_close_matches(plain, self._values, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(self._values)}."
            raise UsageError(f"There is no {self.noun} named {name!r}.", hint)
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(self._values)

    def __len__(self) -> int:
        self._discover()
        return len(self._values)

    def values(self) -> tuple[T, ...]:
        """Return every registered value, in order."""
        self._discover()
        return tuple(self._values.values())

    def _discover(self) -> None:
        """Import every module of the package once; each registers its own value."""
        with self._lock:
            if self._discovered:
                return
            self._discovered = True
            package = importlib.import_module(self._package)
            for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
                importlib.import_module(f"{self._package}.{module.name}")
