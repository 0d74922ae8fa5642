"""`python -m tl_core.serve BUNDLE`: keep a model loaded, and answer one request a line.

Requests come on stdin as JSON: {"source": what to classify, "out": the table to write}. Replies go to stdout as JSON.
First any number of {"done": n, "total": n}. Then {"items": n, "skipped": [[item, reason], ...], "texts": [the beginning
of each of the first SHOWN texts]}; or {"mistake": sentence, "hint": what to do} if the input cannot be read; or
{"failure": ..., "hint": ...} for any other error. The process ends with stdin, or after IDLE seconds without a request.
"""

import json
import os
import select
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from tl_core.errors import DataError, GraftError

IDLE = 300.0
SHOWN, LETTERS = 1000, 160
FAILED = "The prediction failed."
FAILED_HINT = "Try again; a smaller batch may help if memory is short."
OnProgress = Callable[[int, int], None]
Answer = tuple[int, list[tuple[str, str]], list[str]]
Classify = Callable[[str, Path, OnProgress], Answer]


def serve(classify: Classify, questions: Iterator[str], answers: TextIO) -> None:
    """Answer every request with `classify`, until there are no more."""

    def reply(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    for line in questions:
        try:
            question = json.loads(line)
            on_progress = lambda done, total: reply({"done": done, "total": total})  # noqa: E731
            items, skipped, texts = classify(question["source"], Path(question["out"]), on_progress)
            reply({"items": items, "skipped": skipped, "texts": texts})
        except DataError as error:
            reply({"mistake": error.message, "hint": error.hint})
        except GraftError as error:
            reply({"failure": error.message, "hint": error.hint})
        except BrokenPipeError:
            return
        except Exception:
            traceback.print_exc()
            reply({"failure": FAILED, "hint": FAILED_HINT})


def lines(file: int, idle: float = IDLE) -> Iterator[str]:
    """Yield the lines of a file descriptor, until it ends or is silent for `idle` seconds."""
    waiting = b""
    while True:
        line, newline, rest = waiting.partition(b"\n")
        if newline:
            waiting = rest
            yield line.decode()
        elif not select.select([file], [], [], idle)[0] or not (more := os.read(file, 1 << 16)):
            return
        else:
            waiting += more


def _load(folder: Path) -> Classify:
    """Load the bundle now, so that the first reply is quick; if it cannot be read, every reply says so."""
    from tl_core.cli.predict import classify
    from tl_core.export.ensemble import open_bundle

    try:
        bundle = open_bundle(folder)
    except GraftError as error:
        load_error = error

        def refuse(source: str, out: Path, on_progress: OnProgress) -> Answer:
            raise load_error

        return refuse

    def answer(source: str, out: Path, on_progress: OnProgress) -> Answer:
        inputs = classify(bundle, source, out, on_progress)
        return len(inputs.ids), inputs.skipped, [" ".join(text[:LETTERS].split()) for text in inputs.texts[:SHOWN]]

    return answer


def main(folder: Path) -> None:
    """Serve one bundle over stdin and stdout; the output of libraries goes to stderr."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        serve(_load(folder), lines(0), answers)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
