"""The real worker with fake work; the task's name says what to do."""

import os
import signal
import sys
import time
from pathlib import Path

from tl_core.runs.events import Progress, RunEnded, RunPaused, StepDone
from tl_core.worker import work


def execute(task, workspace, folder, control):
    yield Progress(f"{os.environ['OMP_WAIT_POLICY']} {os.environ['OPENBLAS_NUM_THREADS']}", 0, 1)
    if task.name == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task.name == "break off":
        sys.exit(3)
    if task.name == "raise":
        raise ValueError("boom")
    if task.name.startswith("wait"):
        if "learned" in task.name:
            yield StepDone(0, 1, 9, 0.5, {}, 1.0, 1.0)
        while not control.stopped:
            time.sleep(0.01)
            if control.paused:
                if "deaf" in task.name:
                    time.sleep(60)
                if "preparing" in task.name:
                    yield Progress("features", 1, 9)
                elif task.kind == "train":
                    yield RunPaused(3)
        yield RunEnded("stopped", "Asked to.")
    yield RunEnded("done", "Finished.")


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1]), execute))
