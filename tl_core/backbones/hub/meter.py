"""How far a download is: bytes, speed and time left."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

_WINDOW = 5.0  # seconds that the speed is measured over
_EVERY = 0.1  # seconds between two reports


@dataclass(frozen=True)
class DownloadProgress:
    """How much of a download is there: the file on its way, bytes done and in total, and bytes a second."""

    file: str
    done: int
    total: int
    speed: float

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all is there at this speed, None while nothing comes."""
        return (self.total - self.done) / self.speed if self.speed > 0 else None


OnDownload = Callable[[DownloadProgress], None]


def unseen(progress: DownloadProgress) -> None:
    """Report progress to nobody."""


class Meter:
    """Counts the bytes of several files that are downloaded one after the other."""

    def __init__(self, total: int, report: OnDownload) -> None:
        self._total = total
        self._report = report
        self._finished = 0
        self._arrived = 0  # in this process, so that what was there before adds nothing to the speed
        self._samples: deque[tuple[float, int]] = deque([(monotonic(), 0)])
        self._last = 0.0

    def show(self, file: str, have: int, arrived: int = 0) -> None:
        """Report that `have` bytes of a file are there, `arrived` of them since the last call."""
        now = monotonic()
        self._arrived += arrived
        if now - self._last < _EVERY:
            return
        self._last = now
        self._samples.append((now, self._arrived))
        while len(self._samples) > 2 and now - self._samples[1][0] > _WINDOW:
            self._samples.popleft()
        self._tell(file, have)

    def finish(self, file: str, size: int) -> None:
        """Report that a file is there, whole and checked."""
        self._finished += size
        self._tell(file, 0)

    def _tell(self, file: str, have: int) -> None:
        (start, before), (end, after) = self._samples[0], self._samples[-1]
        speed = (after - before) / (end - start) if end > start else 0.0
        self._report(DownloadProgress(file, self._finished + have, self._total, speed))
