import sys
from subprocess import CalledProcessError

import numpy as np
import pytest
from PIL import Image

from tl_core.errors import PlanError
from tl_core.jobs.preview import GAP, LINES, VARIATIONS, sheet
from ui.plan import augmentation


def cells(image: Image.Image, side: int) -> np.ndarray:
    """The pictures of a sheet `[lines, columns, side, side, 4]`."""
    pixels, step = np.asarray(image), side + GAP
    starts = range(0, pixels.shape[0], step), range(0, pixels.shape[1], step)
    return np.array([[pixels[y : y + side, x : x + side] for x in starts[1]] for y in starts[0]])


def test_each_line_shows_a_training_picture_and_variations_of_it(tiny_images, tiny_backbones):
    pictures = cells(sheet(tiny_images, tiny_backbones[0], "light"), 32)
    assert pictures.shape == (LINES, VARIATIONS + 1, 32, 32, 4)
    for line in pictures:
        assert len({picture.tobytes() for picture in line}) == VARIATIONS + 1
    plain = cells(sheet(tiny_images, tiny_backbones[0], "none"), 32)
    assert (plain == pictures[:, :1]).all()


def test_texts_cannot_be_shown(tiny_texts, tiny_backbones):
    with pytest.raises(PlanError, match="no pictures"):
        sheet(tiny_texts, tiny_backbones[1], "light")


def test_the_app_gets_the_picture_from_another_process(tmp_path, monkeypatch):
    def run(line, **kwargs):
        assert line[:3] == [sys.executable, "-m", "tl_core.jobs.preview"]
        assert (kwargs["cwd"] / "tl_core" / "jobs" / "preview.py").is_file()
        if line[4] == "broken":
            raise CalledProcessError(1, line)
        Image.new("RGB", (2, 2)).save(line[-1])

    monkeypatch.setattr(augmentation.subprocess, "run", run)
    assert augmentation.examples.__wrapped__("folder", "good", "light").startswith(b"\x89PNG")
    assert augmentation.examples.__wrapped__("folder", "broken", "light") == b""
