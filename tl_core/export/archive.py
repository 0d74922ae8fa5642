"""Pack a bundle as one zip file to download."""

import zipfile
from io import BytesIO
from pathlib import Path

from tl_core.workspace import write_bytes


def zip_bundle(folder: Path, target: Path) -> Path:
    """Write the bundle `folder` as the zip file `target`, atomically; return `target`.

    Inside the zip everything is in a folder named as the file. Weights are stored uncompressed: they hardly compress.
    Raises WorkspaceError if the file cannot be written.
    """
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            compression = zipfile.ZIP_STORED if path.suffix == ".safetensors" else zipfile.ZIP_DEFLATED
            archive.write(path, f"{target.stem}/{path.relative_to(folder).as_posix()}", compress_type=compression)
    write_bytes(target, packed.getvalue())
    return target
