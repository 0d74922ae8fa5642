"""Profiles stored beside the manifest, for as long as data, split, decisions and code are the same."""

import hashlib
from functools import cache
from pathlib import Path

import tl_core.data
from tl_core.data.dataset import Dataset
from tl_core.data.profile.data_profile import Profile
from tl_core.errors import WorkspaceError
from tl_core.workspace import read_value, write_value

_MOST = 8  # profiles of one data set: those of its latest splits, decisions and tokenizers


@cache
def _code_digest() -> bytes:
    """Return a digest of the code that profiles depend on, so that other code makes them again."""
    files = sorted(Path(tl_core.data.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).digest()


def profile_file(dataset: Dataset, tokenizer: str, max_tokens: int) -> Path:
    """Return the file of a profile. It differs by version, name, receipt, tokenizer and code."""
    about = (dataset.version, dataset.name, dataset.receipt, str(dataset.folder), tokenizer, max_tokens)
    key = hashlib.sha256(_code_digest() + repr(about).encode()).hexdigest()[:16]
    return dataset.folder / f"profile-{key}.json"


def read(path: Path) -> Profile | None:
    """Return the stored profile, None where none can be read."""
    return read_value(Profile, path)


def write(path: Path, profile: Profile) -> None:
    """Store a profile, and delete the oldest ones. On a full disk nothing is stored."""
    try:
        write_value(path, profile)
    except WorkspaceError:
        return
    files = sorted(path.parent.glob("profile-*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[_MOST:]:
        file.unlink(missing_ok=True)
