"""Which process does a run's work, named so that it can never be mistaken for a later one with the same number."""

import contextlib
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """A process, once and for all: its number, its start in clock ticks, and the boot that counts them."""

    pid: int
    start: str
    boot: str


def boot_id() -> str:
    """Return what changes with every start of the machine ("" where the system does not say)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Return the start time of a living process, None for one that is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _answers(pid)
    return None if fields[0] in "ZX" else fields[19]


def _answers(pid: int) -> str | None:
    """Where there is no /proc: whether a process with this number exists at all."""
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    return ""


def identify(pid: int) -> Owner | None:
    """Return the living process with this number, None where there is none."""
    start = _started(pid)
    return None if start is None else Owner(pid, start, boot_id())


def alive(owner: Owner | None) -> bool:
    """Whether this very process still lives."""
    return owner is not None and owner.pid > 0 and identify(owner.pid) == owner


def kill(owner: Owner) -> None:
    """End this very process at once, with its children where it leads a process group."""
    if not alive(owner) or owner.pid == os.getpid():
        return
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(owner.pid) == owner.pid:
            os.killpg(owner.pid, signal.SIGKILL)
        else:
            os.kill(owner.pid, signal.SIGKILL)


def lower_priority() -> None:
    """Make this process the polite one: lower priority, and the first to go when memory runs out."""
    with contextlib.suppress(OSError):
        os.nice(10)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")


def peak_memory() -> int:
    """Return the most bytes of memory that this process has held at once, its libraries included.

    Linux says it of the program that runs now (VmHWM); what `getrusage` says there begins with what the process that
    started this one held. On a graphics card, ask torch.cuda.max_memory_allocated.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else 1024 * held
