import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest


@pytest.fixture
def make_zip(tmp_path: Path) -> Callable[[Mapping[str, bytes | str]], str]:
    def make(files: Mapping[str, bytes | str], name: str = "data.zip") -> str:
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in files.items():
                archive.writestr(member, data)
        return str(tmp_path / name)

    return make


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[[Mapping[str, bytes | str]], str]:
    def make(files: Mapping[str, bytes | str], name: str = "data") -> str:
        for member, data in files.items():
            path = tmp_path / name / member
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        return str(tmp_path / name)

    return make


@pytest.fixture
def make_table(tmp_path: Path) -> Callable[..., str]:
    def make(content: str | bytes, name: str = "data.csv", encoding: str = "utf-8") -> str:
        data = content if isinstance(content, bytes) else content.encode(encoding)
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return make
