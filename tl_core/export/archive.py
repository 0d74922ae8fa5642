"""A bundle as one file to download."""

import zipfile
from io import BytesIO
from pathlib import Path

from tl_core.workspace import write_bytes


def zip_bundle(folder: Path, target: Path) -> Path:
    """Write the bundle `folder` as the zip `target`, whole or not at all, in a folder of its name; returns `target`.

    Weights are stored as they are: they hardly compress. Raises WorkspaceError where it cannot be written.
    """
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            how = zipfile.ZIP_STORED if path.suffix == ".safetensors" else zipfile.ZIP_DEFLATED
            archive.write(path, f"{target.stem}/{path.relative_to(folder).as_posix()}", compress_type=how)
    write_bytes(target, packed.getvalue())
    return target
