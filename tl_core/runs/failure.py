"""Explain an error to a person: a plain sentence, and what to do next."""

import errno
import signal
from typing import Literal

from tl_core.errors import GraftError
from tl_core.runs.events import RunEnded

LOG = "worker.log"
NO_MEMORY = "The computer's memory was not enough for this run."
NO_MEMORY_HINT = "Choose a smaller batch size or a smaller backbone, train fewer layer groups, or close other programs."
NO_SPACE = "The disk is full."
NO_SPACE_HINT = "Free some space, or delete runs that are no longer needed; then resume the run or start it again."
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
GONE = "The folder of this run was deleted while it ran."
GONE_HINT = "What it had learned is lost. Start it again."
PAUSED = "It is paused. Everything learned so far is kept."
CLOSED = "Graft was closed while this ran."
AGAIN_HINT = "Start it again."
GO_ON_HINT = "You can resume it from its last checkpoint."
LOG_HINT = f"Start it again; if it happens again, the details are in {LOG} in the run's folder."

LeaveReason = Literal["paused", "closed"]
"""Why a worker left an unfinished run: a person paused it, or the app or the computer was shut down."""


def explain(error: BaseException) -> RunEnded:
    """Return the RunEnded for a run that failed with `error`, in words for people who do not program."""
    if disk_full(error):
        return RunEnded("failed", NO_SPACE, NO_SPACE_HINT)
    if isinstance(error, GraftError):
        return RunEnded("failed", error.message, error.hint)
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "not enough memory" in text or "out of memory" in text:
        return RunEnded("failed", NO_MEMORY, NO_MEMORY_HINT)
    return RunEnded("failed", "The run stopped because of an unexpected error.", LOG_HINT)


def disk_full(error: BaseException | None) -> bool:
    """Return whether an error means that the disk is full, a quota is used up, or a file is too large for the disk."""
    while error is not None:
        in_message = any(f"(os error {number})" in str(error) for number in FULL)  # safetensors raises it like this
        if in_message or (isinstance(error, OSError) and error.errno in FULL):
            return True
        error = error.__cause__
    return False


def unexpected(error: BaseException) -> bool:
    """Return whether the traceback should be kept, because the sentence alone does not explain the error."""
    return not isinstance(error, GraftError) and not disk_full(error)


def explain_exit(code: int | None) -> tuple[str, str]:
    """Return sentence and hint for a worker that disappeared; `code` is its exit code, None if unknown."""
    if code == -signal.SIGKILL:
        return (
            "The run's process was killed from outside: by a person, or by the system because memory ran out.",
            NO_MEMORY_HINT,
        )
    if code == errno.ENOSPC:
        return NO_SPACE, NO_SPACE_HINT
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"The run's process was ended from outside ({name}).", LOG_HINT
    if code:
        return f"The run's process ended without giving a reason (exit code {code}).", LOG_HINT
    return (
        "The run's process ended before the run did; perhaps the computer was switched off or ran out of memory.",
        AGAIN_HINT,
    )
