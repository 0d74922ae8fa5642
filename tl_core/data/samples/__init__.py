"""Ready data sets that need no network: one file each, found by this registry."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tl_core.data.options import RawItem
from tl_core.errors import DataError
from tl_core.registry import Registry
from tl_core.types import Modality


@dataclass(frozen=True)
class Sample:
    """A ready data set: what a person reads about it, and how its items are had."""

    name: str
    title: str
    summary: str
    modality: Modality
    licence: str
    source: str
    items: Callable[[], list[RawItem]]


SAMPLES: Registry[Sample] = Registry("sample", "tl_core.data.samples")


def package_folder(package: str, *parts: str) -> Path:
    """Return a folder inside an installed package, which is not imported. Raises DataError where it is missing."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    folder = Path(places[0], *parts) if places else Path()
    if not places or not folder.is_dir():
        raise DataError(
            f"The sample's package {package.replace('_', '-')} is not installed.",
            "Run the install command of the README again.",
        )
    return folder
