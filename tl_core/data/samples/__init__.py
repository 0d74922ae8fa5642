"""Ready data sets that need no network. Each is a file that registers itself in SAMPLES."""

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
    """A ready data set: its description, and a function that returns its items."""

    name: str
    title: str
    summary: str
    modality: Modality
    licence: str
    source: str
    items: Callable[[], list[RawItem]]


SAMPLES: Registry[Sample] = Registry("sample", "tl_core.data.samples")


def package_folder(package: str, *parts: str) -> Path:
    """Return a folder inside an installed package, without importing it. Raises DataError where it is missing."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    folder = Path(places[0], *parts) if places else Path()
    if not places or not folder.is_dir():
        raise DataError(
            f"The sample's package {package.replace('_', '-')} is not installed.",
            "Run the install command of the README again.",
        )
    return folder
