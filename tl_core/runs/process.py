"""Identify the process of a run, so that a later process with the same number is never mistaken for it."""

import contextlib
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """A process, uniquely: its number, its start in clock ticks since boot, and the id of that boot."""

    pid: int
    start: str
    boot: str


def boot_id() -> str:
    """Return an id that changes with every boot of the machine, "" if the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Return the start time of a living process, None for one that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _answers(pid)
    return None if fields[0] in "ZX" else fields[19]


def _answers(pid: int) -> str | None:
    """Without /proc: return "" if a process with this number exists, else None."""
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    return ""


def identify(pid: int) -> Owner | None:
    """Return the living process with this number, or None."""
    start = _started(pid)
    return None if start is None else Owner(pid, start, boot_id())


def alive(owner: Owner | None) -> bool:
    """Return whether exactly this process is still alive."""
    return owner is not None and owner.pid > 0 and identify(owner.pid) == owner


def kill(owner: Owner) -> None:
    """Kill exactly this process, with its children if it leads a process group."""
    if not alive(owner) or owner.pid == os.getpid():
        return
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(owner.pid) == owner.pid:
            os.killpg(owner.pid, signal.SIGKILL)
        else:
            os.kill(owner.pid, signal.SIGKILL)


def lower_priority() -> None:
    """Give this process low priority, and make it the first to be killed when memory runs out."""
    with contextlib.suppress(OSError):
        os.nice(10)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")


def peak_memory() -> int:
    """Return the peak memory of this process in bytes, its libraries included.

    On Linux this is VmHWM, because `getrusage` also counts memory of the parent process. For a graphics card, use
    torch.cuda.max_memory_allocated.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else 1024 * held
