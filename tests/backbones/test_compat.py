"""torchvision is there whether its build matches torch's or not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENSURE = "from tl_core.backbones.compat import ensure_torchvision as ensure; ensure(); ensure(); "
SIGNATURE = "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
MATCHING = f'import torch\nKEPT = torch.library.Library("torchvision", "FRAGMENT")\nKEPT.define("{SIGNATURE}")\n'
STRANGER = """import torch
if not hasattr(torch.ops.torchvision, "nms"):
    raise RuntimeError("operator torchvision::nms does not exist")
"""


def run(code: str, path: Path = ROOT) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{ROOT}"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


def test_the_libraries_can_be_imported_afterwards():
    done = run(ENSURE + "import timm, torchvision, transformers; print('whole')")
    assert done.stdout.strip() == "whole", done.stderr


@pytest.mark.parametrize("build", [MATCHING, STRANGER], ids=["matching", "stranger"])
def test_operators_are_declared_where_they_are_missing_and_only_there(build, tmp_path):
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(build)
    done = run(ENSURE + "import torch, torchvision; print(torch.ops.torchvision.nms)", tmp_path)
    assert done.stdout.strip() == "torchvision.nms", done.stderr


def test_another_error_of_the_import_is_not_hidden(tmp_path):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('broken otherwise')")
    done = run(ENSURE, tmp_path)
    assert "broken otherwise" in done.stderr
