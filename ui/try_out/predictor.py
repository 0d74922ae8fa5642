"""Predictions for the pages, made by a helper process that holds the model. The server itself loads no model."""

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
from tl_core.types import Modality
from tl_core.workspace import read_json

ROOT = Path(__file__).resolve().parents[2]
OnProgress = Callable[[float, str], None]


@dataclass(frozen=True)
class Predictions:
    """Predictions for a file: a table with item, predicted, and a probability column for each class.

    `skipped` holds (item, reason) of what could not be read. `texts` holds the beginnings of the first texts.
    """

    table: pd.DataFrame
    skipped: tuple[tuple[str, str], ...] = ()
    texts: tuple[str, ...] = ()


@dataclass
class Helper:
    """A process that holds the model of one bundle. `lock` is held while it answers."""

    process: subprocess.Popen[str]
    lock: Lock = field(default_factory=Lock)

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self.process.poll() is None

    def ask(self, question: dict[str, str], on_progress: OnProgress) -> dict[str, Any]:
        """Return the answer, {} if the process ended instead.

        If `on_progress` raises, because the page was left, the process is killed.
        """
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
                on_progress(min(1.0, done / max(1, total)), f"Classifying: {done:,} of {total:,}")
        except BaseException:
            self.end()
            raise
        self.process.wait()
        return {}

    def end(self) -> None:
        """Kill the process."""
        self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()


_helpers: dict[tuple[Path, int], Helper] = {}
_helpers_lock = Lock()


def modality(bundle: Path) -> Modality:
    """Return what a bundle's model reads."""
    reads: Modality = "text" if (bundle / "tokenizer.json").is_file() else "image"
    return "multimodal" if _config(bundle).get("modality") == "multimodal" else reads


def _config(bundle: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        return dict(read_json(bundle / "config.json"))
    return {}


def warm(bundle: Path) -> None:
    """Start to load the model of a bundle, so that the first prediction comes quickly."""
    _helper(bundle)


def predict(bundle: Path, source: Path, on_progress: OnProgress) -> Predictions:
    """Return the predictions for a file.

    `on_progress` receives the progress in [0, 1] and a sentence. Raises DataError for an input that cannot be read, and
    RunError if the prediction fails.
    """
    with _scratch() as folder:
        out = folder / "predictions.csv"
        answer = _ask(bundle, {"source": str(source.absolute()), "out": str(out)}, on_progress)
        if "mistake" in answer:
            raise DataError(answer["mistake"], answer["hint"])
        if "items" not in answer:
            hint = "Try again. If memory is short, a smaller batch may help."
            raise RunError(answer.get("failure", "The prediction failed."), answer.get("hint", hint))
        table = pd.read_csv(out, dtype={"item": str, "predicted": str}, keep_default_na=False)
        skipped = tuple((item, reason) for item, reason in answer["skipped"])
        return Predictions(table, skipped, tuple(answer.get("texts", ())))


def predict_text(bundle: Path, text: str, on_progress: OnProgress) -> Predictions:
    """Return the prediction for one text. Raises like `predict`."""
    with _scratch() as folder:
        source = folder / "text.txt"
        source.write_text(text, encoding="utf-8")
        return predict(bundle, source, on_progress)


def predict_pair(bundle: Path, picture: Path, text: str, on_progress: OnProgress) -> Predictions:
    """Return the prediction for a picture with a text. Raises like `predict`."""
    config = _config(bundle)
    columns = config.get("path_column") or "picture", config.get("text_column") or "text"
    with _scratch() as folder:
        name = f"picture{picture.suffix}"
        shutil.copyfile(picture, folder / name)
        pd.DataFrame([(name, text)], columns=list(columns)).to_csv(folder / "item.csv", index=False)
        return predict(bundle, folder / "item.csv", on_progress)


def probabilities(table: pd.DataFrame, row: int = 0) -> dict[str, float]:
    """Return the probability of each class for one item, the most probable first."""
    columns = [name for name in table.columns if name not in ("item", "predicted")]
    probabilities = {str(name): float(table[name].iloc[row]) for name in columns}
    return dict(sorted(probabilities.items(), key=lambda pair: -pair[1]))


def predicted_labels(probabilities: Mapping[str, float], multilabel: bool) -> list[str]:
    """Return the predicted labels: every label above 50% in multi-label data, else the most probable class."""
    if multilabel:
        return [name for name, probability in probabilities.items() if probability > HALF]
    return [max(probabilities, key=lambda name: probabilities[name])]


def _ask(bundle: Path, question: dict[str, str], on_progress: OnProgress) -> dict[str, Any]:
    """Ask the helper of a bundle. One that timed out just before the question is started again."""
    for _ in range(2):
        helper = _helper(bundle)
        with helper.lock:
            answer = helper.ask(question, on_progress) if helper.alive else {}
        if answer:
            return answer
    return {}


def _helper(bundle: Path) -> Helper:
    """Return the helper of a bundle, started if needed. Helpers of other bundles are ended, unless they are busy."""
    weights = bundle / "weights.safetensors"
    key = (bundle, weights.stat().st_mtime_ns if weights.is_file() else 0)
    with _helpers_lock:
        if (running := _helpers.get(key)) and running.alive:
            return running
        for other, helper in list(_helpers.items()):
            if helper.lock.acquire(blocking=False):
                del _helpers[other]
                helper.end()
                helper.lock.release()
        _helpers[key] = Helper(_start(command(bundle)))
        return _helpers[key]


def command(bundle: Path) -> list[str]:
    """Return the command that starts a helper."""
    return [sys.executable, "-m", "tl_core.serve", str(bundle)]


def _start(command_line: list[str]) -> subprocess.Popen[str]:
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(
        command_line,
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
