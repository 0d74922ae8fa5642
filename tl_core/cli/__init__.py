"""The command line: results go to stdout, progress to stderr; a user's mistake is one sentence and exit code 2."""

import contextlib
import errno
import importlib
import logging
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from tl_core.cli.console import Console
from tl_core.cli.parser import parse
from tl_core.errors import GraftError, RunError

FAILED, MISTAKE, INTERRUPTED = 1, 2, 130
_QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}


def main(argv: Sequence[str]) -> int:
    """Run one command; return the exit code: 0 success, 1 failure, 2 a user's mistake, 130 stopped by Ctrl-C."""
    console = Console(sys.stdout, sys.stderr)
    try:
        arguments = parse(argv)
        with _only_results_on_stdout():
            command = importlib.import_module(f"tl_core.cli.{arguments.command}")
            code: int = command.run(arguments, console)
        console.flush()
        return code
    except GraftError as error:
        console.end(str(error))
        return FAILED if isinstance(error, RunError) else MISTAKE
    except KeyboardInterrupt:
        console.end("Stopped.")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of stdout went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            console.end("A name in the command is longer than the name of a file can be. Shorten it.")
            return MISTAKE
        console.end(f"Something unexpected went wrong ({_named(error)}). The details are in {_write_log(error)}.")
        return FAILED


@contextlib.contextmanager
def _only_results_on_stdout() -> Iterator[None]:
    """Keep libraries quiet, and send whatever they still print to stderr."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _named(error: BaseException) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _write_log(error: BaseException) -> Path:
    """Save the traceback of an unexpected error to a file that the person can find."""
    handle, name = tempfile.mkstemp(prefix="graft-", suffix=".log")
    with open(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    return Path(name)
