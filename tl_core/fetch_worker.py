"""`python -m tl_core.fetch_worker FOLDER`: bring one backbone, and report progress to the folder."""

import os
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

from tl_core import background, fetch_jobs
from tl_core.backbones.acquire import TEXT, leaf_of, make_ready, offer_of
from tl_core.backbones.hub.meter import DownloadProgress
from tl_core.errors import DownloadCancelled, GraftError, UnnamedNetwork
from tl_core.fetch_jobs import FetchRequest, FetchState, Status
from tl_core.types import load
from tl_core.workspace import Workspace, read_json, read_value

_EVERY = 0.25  # seconds between two progress reports
_FULL = ("There is not enough memory to check this network.", "Close other programs, or choose a smaller network.")
_UNKNOWN = ("This network could not be made ready because of an unexpected error.", "Choose another network.")


def work(folder: Path) -> None:
    """Bring what `folder` asks for. It always writes a final state."""
    request = load(FetchRequest, read_json(folder / background.REQUEST))
    report = _Report(folder)
    try:
        offer = report.state.offer
        known = offer or leaf_of(request.what.removesuffix(TEXT))
        agreed = request.agreed and known is not None  # what was agreed to may be lost
        if not agreed:
            report.write(stage="asking")
            offer = offer_of(report.workspace, request.what)
        if offer and not agreed:
            report.write("asking", offer=offer)
        else:
            part = TEXT if request.what.endswith(TEXT) else ""
            what = offer.name + part if offer else request.what
            spec = make_ready(report.workspace, what, request.architecture, report.arrived, report.proving)
            background.delete_upload(request.what, report.workspace)
            report.write("done", name=spec.name)
    except (DownloadCancelled, SystemExit):
        report.write("stopped", speed=0.0)
    except UnnamedNetwork as error:
        report.write("unnamed", message=error.message, hint=error.hint)
    except GraftError as error:
        report.write("failed", message=error.message, hint=error.hint)
    except MemoryError:
        report.write("failed", message=_FULL[0], hint=_FULL[1])
    except Exception:
        traceback.print_exc()
        report.write("failed", message=_UNKNOWN[0], hint=_UNKNOWN[1])


class _Report:
    """Writes the state of a fetch, progress a few times a second."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.workspace = folder, Workspace(folder.parent.parent)
        self.state = read_value(FetchState, folder / background.STATE) or FetchState()
        self._last = 0.0

    def write(self, status: Status = "working", **changes: object) -> None:
        """Change the state, and write it."""
        self.state = replace(self.state, status=status, **changes)  # type: ignore[arg-type]
        fetch_jobs.write_state(self.folder, self.state)

    def arrived(self, progress: DownloadProgress) -> None:
        """Report bytes that are here."""
        now = time.monotonic()
        self.state = replace(self.state, done=progress.done, total=progress.total, speed=progress.speed)
        if self.state.stage != "bringing" or now - self._last > _EVERY:
            self._last = now
            self.write(stage="bringing")

    def proving(self) -> None:
        """Report that everything is here, and that the network is being checked."""
        self.write(stage="proving", done=self.state.total, speed=0.0)


if __name__ == "__main__":
    background.carry_out(work)
    sys.stderr.flush()
    os._exit(0)  # everything is written; taking the libraries down would take seconds, and a person waits for a cancel
