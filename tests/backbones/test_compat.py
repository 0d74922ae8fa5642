"""The operators that torchvision misses are declared only where they are missing."""

import subprocess
import sys

import pytest

from tl_core.backbones.compat import mismatched


@pytest.mark.parametrize(
    ("torch_version", "torchvision_version", "expected"),
    [
        ("2.13.0+cpu", "0.28.0", True),
        ("2.13.0+cpu", "0.28.0+cu130", True),
        ("2.13.0+cpu", "0.28.0+cpu", False),
        ("2.13.0", "0.28.0", False),
        ("2.13.0+cu130", "0.28.0+cu130", False),
    ],
)
def test_builds_that_match_are_left_alone(torch_version: str, torchvision_version: str, expected: bool):
    assert mismatched(torch_version, torchvision_version) is expected


def test_the_libraries_can_be_imported_afterwards():
    code = (
        "from tl_core.backbones.compat import ensure_torchvision as ensure; ensure(); ensure(); "
        "import timm, torchvision, transformers; print('whole')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "whole"
