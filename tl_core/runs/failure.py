"""What to tell a person about an error: a plain sentence, and the next thing to do."""

import errno
import signal
from typing import Literal

from tl_core.errors import GraftError
from tl_core.runs.events import RunEnded

LOG = "worker.log"
NO_MEMORY = "The computer's memory was not enough for this run."
NO_MEMORY_HINT = "Choose a smaller batch size or a smaller backbone, train fewer layer groups, or close other programs."
NO_SPACE = "The disk is full."
NO_SPACE_HINT = "Free some space, or delete runs that are no longer needed; then go on with the run or start it again."
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
GONE = "The folder of this run was deleted while it ran."
GONE_HINT = "What it had learned is gone with it. Start it again."
PAUSED = "It is paused. Everything learned so far is kept."
CLOSED = "Graft was closed while this ran."
AGAIN_HINT = "Start it again."
GO_ON_HINT = "You can go on from what was last saved."
LOG_HINT = f"Start it again; if it happens again, the details are in {LOG} in the run's folder."

LeaveReason = Literal["paused", "closed"]
"""Why a worker left a run that is not over: somebody asked it to wait, or the app or the computer was shut down."""


def explain(error: BaseException) -> RunEnded:
    """Return the end of a run that `error` broke, in words for somebody who does not program."""
    if disk_full(error):
        return RunEnded("failed", NO_SPACE, NO_SPACE_HINT)
    if isinstance(error, GraftError):
        return RunEnded("failed", error.message, error.hint)
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "not enough memory" in text or "out of memory" in text:
        return RunEnded("failed", NO_MEMORY, NO_MEMORY_HINT)
    return RunEnded("failed", "The run stopped at an error that was not expected.", LOG_HINT)


def disk_full(error: BaseException | None) -> bool:
    """Whether an error comes from a disk that takes no more: full, a quota used up, or a file too large for it."""
    while error is not None:
        told = any(f"(os error {number})" in str(error) for number in FULL)  # how safetensors says it
        if told or (isinstance(error, OSError) and error.errno in FULL):
            return True
        error = error.__cause__
    return False


def unexpected(error: BaseException) -> bool:
    """Whether the traceback is worth keeping, because the sentence alone would not explain it."""
    return not isinstance(error, GraftError) and not disk_full(error)


def explain_exit(code: int | None) -> tuple[str, str]:
    """Return sentence and hint for a worker that vanished; `code` is its exit code, None where nobody saw it."""
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
        return f"The run's process broke off before it could say why (exit code {code}).", LOG_HINT
    return (
        "The run's process ended before the run did; perhaps the computer was switched off or ran out of memory.",
        AGAIN_HINT,
    )
