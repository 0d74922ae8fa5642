"""A profile is made once: it is kept beside the manifest for as long as what it says can be relied on."""

import hashlib
from functools import cache
from pathlib import Path

import tl_core.data
from tl_core.data.dataset import Dataset
from tl_core.data.profile.data_profile import Profile
from tl_core.errors import WorkspaceError
from tl_core.workspace import read_value, write_value

_KEPT = 8  # profiles of one data set: its last splits, decisions and tokenizers


@cache
def _code() -> bytes:
    """Return a digest of the code that profiles depend on: what other code has made is made again."""
    files = sorted(Path(tl_core.data.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).digest()


def place(dataset: Dataset, tokenizer: str, max_tokens: int) -> Path:
    """Return where a profile lies: another place for another version, name, receipt, tokenizer or code."""
    about = (dataset.version, dataset.name, dataset.receipt, str(dataset.folder), tokenizer, max_tokens)
    key = hashlib.sha256(_code() + repr(about).encode()).hexdigest()[:16]
    return dataset.folder / f"profile-{key}.json"


def read(path: Path) -> Profile | None:
    """Return the profile that is kept, None where there is none that can be read."""
    return read_value(Profile, path)


def write(path: Path, profile: Profile) -> None:
    """Keep a profile, and let go of the oldest ones; a workspace that is full keeps none."""
    try:
        write_value(path, profile)
    except WorkspaceError:
        return
    found = sorted(path.parent.glob("profile-*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in found[_KEPT:]:
        file.unlink(missing_ok=True)
