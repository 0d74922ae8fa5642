"""`python -m tl_core.serve BUNDLE`: a model that stays loaded and answers one question a line.

Questions come on stdin as JSON: {"source": what to classify, "out": the table to write}. Answers go to stdout as JSON:
any number of {"done": n, "total": n}, then {"items": n, "skipped": [[item, reason], ...], "texts": [how each of the
first SHOWN texts begins]}, or else
{"mistake": sentence, "hint": what to do} for an input that cannot be read and {"failure": ..., "hint": ...} otherwise.
It ends when stdin does, or after IDLE seconds without a question.
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
FAILED = "The prediction broke off."
FAILED_HINT = "Try again; a smaller batch may help if memory is short."
Told = Callable[[int, int], None]
Answer = tuple[int, list[tuple[str, str]], list[str]]
Classify = Callable[[str, Path, Told], Answer]


def serve(classify: Classify, questions: Iterator[str], answers: TextIO) -> None:
    """Answer every question with `classify`, until there are no more."""

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    for line in questions:
        try:
            question = json.loads(line)
            told = lambda done, total: say({"done": done, "total": total})  # noqa: E731
            items, skipped, texts = classify(question["source"], Path(question["out"]), told)
            say({"items": items, "skipped": skipped, "texts": texts})
        except DataError as error:
            say({"mistake": error.message, "hint": error.hint})
        except GraftError as error:
            say({"failure": error.message, "hint": error.hint})
        except BrokenPipeError:
            return
        except Exception:
            traceback.print_exc()
            say({"failure": FAILED, "hint": FAILED_HINT})


def lines(file: int, idle: float = IDLE) -> Iterator[str]:
    """Yield the lines of a file descriptor, until it ends or nothing comes for `idle` seconds."""
    waiting = b""
    while True:
        line, found, rest = waiting.partition(b"\n")
        if found:
            waiting = rest
            yield line.decode()
        elif not select.select([file], [], [], idle)[0] or not (more := os.read(file, 1 << 16)):
            return
        else:
            waiting += more


def _load(folder: Path) -> Classify:
    """Read the bundle now, so that the first answer is quick too; one that does not read is told with each answer."""
    from tl_core.cli.predict import classify
    from tl_core.export.ensemble import open_bundle

    try:
        bundle = open_bundle(folder)
    except GraftError as error:
        broken = error

        def refuse(source: str, out: Path, told: Told) -> Answer:
            raise broken

        return refuse

    def answer(source: str, out: Path, told: Told) -> Answer:
        inputs = classify(bundle, source, out, told)
        return len(inputs.ids), inputs.skipped, [" ".join(text[:LETTERS].split()) for text in inputs.texts[:SHOWN]]

    return answer


def main(folder: Path) -> None:
    """Serve one bundle over stdin and stdout; what a library prints goes to stderr."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        serve(_load(folder), lines(0), answers)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
