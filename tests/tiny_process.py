"""Graft in a process of its own, with the tiny backbones: `tiny_process.py cli ...` or `tiny_process.py RUN_DIR`.

GRAFT_TEST_ROOM caps the bytes of any file that the process writes: a disk that is full, as far as it can tell.

It ends without taking the libraries' modules down one by one, which takes a second.
"""

import os
import resource
import sys
from pathlib import Path

from tests.tiny import TINY_IMAGE, TINY_TEXT
from tl_core.backbones.spec import BACKBONES


def end(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    for spec in (TINY_IMAGE, TINY_TEXT):
        BACKBONES.add(spec)
    if room := os.environ.get("GRAFT_TEST_ROOM"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), int(room)))
    if sys.argv[1] == "cli":
        from tl_core.cli import main

        end(main(sys.argv[2:]))
    from tl_core.worker import _execute, work

    end(work(Path(sys.argv[1]).resolve(), _execute))
