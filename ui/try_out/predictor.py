"""Predictions for the pages: made by a process that holds the model and stays for a while, as the server holds none."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import pandas as pd

from tl_core.errors import DataError, RunError
from tl_core.evaluation.results import HALF
from tl_core.threads import THREAD_SETTINGS

ROOT = Path(__file__).resolve().parents[1]
OnProgress = Callable[[float, str], None]


@dataclass(frozen=True)
class Predictions:
    """A table with item, predicted, and a probability column for each class; and what was left out, with the reason.

    `texts` says how each of the first items begins, where they are texts.
    """

    table: pd.DataFrame
    skipped: tuple[tuple[str, str], ...] = ()
    texts: tuple[str, ...] = ()


@dataclass
class Helper:
    """A process that holds one bundle's model; `lock` is held while it answers."""

    process: subprocess.Popen[str]
    lock: Lock = field(default_factory=Lock)

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self.process.poll() is None

    def ask(self, question: dict[str, str], report: OnProgress) -> dict[str, Any]:
        """Return its answer, {} where it ended instead. The process is ended with the page: `report` may raise."""
        assert self.process.stdin
        assert self.process.stdout
        try:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.write(json.dumps(question) + "\n")
                self.process.stdin.flush()
            for line in self.process.stdout:
                answer: dict[str, Any] = json.loads(line)
                if "done" not in answer:
                    return answer
                done, total = answer["done"], answer["total"]
                report(min(1.0, done / max(1, total)), f"Classifying: {done:,} of {total:,}")
        except BaseException:
            self.end()
            raise
        self.process.wait()
        return {}

    def end(self) -> None:
        """End the process at once."""
        self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()


_helpers: dict[tuple[Path, int], Helper] = {}
_choosing = Lock()


def warm(bundle: Path) -> None:
    """Begin to load a bundle's model, so that the first answer comes soon."""
    _helper(bundle)


def predict(bundle: Path, source: Path, report: OnProgress) -> Predictions:
    """Return the predictions for a file.

    `report` is told how far it is, in [0, 1], and what is being done. Raises DataError for an input that cannot be
    read, and RunError where the prediction itself breaks off.
    """
    with _scratch() as folder:
        out = folder / "predictions.csv"
        answer = _ask(bundle, {"source": str(source.absolute()), "out": str(out)}, report)
        if "mistake" in answer:
            raise DataError(answer["mistake"], answer["hint"])
        if "items" not in answer:
            hint = "Try again; a smaller batch may help if memory is short."
            raise RunError(answer.get("failure", "The prediction broke off."), answer.get("hint", hint))
        table = pd.read_csv(out, dtype={"item": str, "predicted": str}, keep_default_na=False)
        skipped = tuple((item, reason) for item, reason in answer["skipped"])
        return Predictions(table, skipped, tuple(answer.get("texts", ())))


def predict_text(bundle: Path, text: str, report: OnProgress) -> Predictions:
    """Return the prediction for one text. Raises as `predict` does."""
    with _scratch() as folder:
        source = folder / "text.txt"
        source.write_text(text, encoding="utf-8")
        return predict(bundle, source, report)


def probabilities(table: pd.DataFrame, row: int = 0) -> dict[str, float]:
    """Return one item's classes with their probabilities, the most probable first."""
    columns = [name for name in table.columns if name not in ("item", "predicted")]
    probabilities = {str(name): float(table[name].iloc[row]) for name in columns}
    return dict(sorted(probabilities.items(), key=lambda pair: -pair[1]))


def said(probabilities: Mapping[str, float], multilabel: bool) -> list[str]:
    """Return the answer: the most probable class, or, where there may be `several`, every label above one half."""
    if multilabel:
        return [name for name, chance in probabilities.items() if chance > HALF]
    return [max(probabilities, key=lambda name: probabilities[name])]


def _ask(bundle: Path, question: dict[str, str], report: OnProgress) -> dict[str, Any]:
    """Ask a bundle's helper. One that ended just before the question, having waited too long, is begun anew."""
    for _ in range(2):
        helper = _helper(bundle)
        with helper.lock:
            answer = helper.ask(question, report) if helper.alive else {}
        if answer:
            return answer
    return {}


def _helper(bundle: Path) -> Helper:
    """Return the process that holds a bundle's model. Only one stays; another bundle's goes, unless it is at work."""
    weights = bundle / "weights.safetensors"
    key = (bundle, weights.stat().st_mtime_ns if weights.is_file() else 0)
    with _choosing:
        if (known := _helpers.get(key)) and known.alive:
            return known
        for other, helper in list(_helpers.items()):
            if helper.lock.acquire(blocking=False):
                del _helpers[other]
                helper.end()
                helper.lock.release()
        _helpers[key] = Helper(_start(command(bundle)))
        return _helpers[key]


def command(bundle: Path) -> list[str]:
    """Return what starts a helper."""
    return [sys.executable, "-m", "tl_core.serve", str(bundle)]


def _start(line: list[str]) -> subprocess.Popen[str]:
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(
        line,
        cwd=ROOT,
        env=os.environ | quiet | THREAD_SETTINGS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="graft-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
