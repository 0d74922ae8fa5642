"""A hub of tiny models for a test: what downloads is sent there, without a login."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import pytest

from tests.hub_server import Hub, Repo, serve


@contextmanager
def local_hub(repos: dict[str, Repo], monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Hub]:
    """Serve copies of the models, and point this process and its children at them."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("HF_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(folder / "no-token"))
    monkeypatch.setenv("HF_TOKEN_PATH", str(folder / "no-token"))
    with serve({}, {name: replace(repo) for name, repo in repos.items()}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server
        huggingface_hub.close_session()
