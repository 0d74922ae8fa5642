"""Predictions for the pages: made in a process of their own, because the server holds no network."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from tl_core.errors import DataError, RunError

ROOT = Path(__file__).resolve().parents[1]
USER_MISTAKE = 2
_COUNT = re.compile(r"([\d,]+) of ([\d,]+)")
Progress = Callable[[float, str], None]


def predict(bundle: Path, source: Path, report: Progress) -> pd.DataFrame:
    """Return the table of predictions for a file: item, predicted, and a probability column for each class.

    `report` is told how far it is, in [0, 1], and what is being done. Raises DataError for an input that cannot be
    read, and RunError where the prediction itself breaks off.
    """
    with _scratch() as folder:
        out = folder / "predictions.csv"
        command = [sys.executable, "-m", "tl_core", "predict", str(bundle), str(source), "--out", str(out)]
        code, last = _run(command, report)
        if code == USER_MISTAKE:
            raise DataError(last or "This input cannot be read.")
        if code or not out.is_file():
            raise RunError("The prediction broke off.", "Try again; a smaller batch may help if memory is short.")
        return pd.read_csv(out, dtype={"item": str, "predicted": str}, keep_default_na=False)


def predict_text(bundle: Path, text: str, report: Progress) -> pd.DataFrame:
    """Return the prediction for one text. Raises as `predict` does."""
    with _scratch() as folder:
        source = folder / "text.txt"
        source.write_text(text, encoding="utf-8")
        return predict(bundle, source, report)


def probabilities(table: pd.DataFrame, row: int = 0) -> dict[str, float]:
    """Return one item's classes with their probabilities, the most probable first."""
    columns = [name for name in table.columns if name not in ("item", "predicted")]
    chances = {str(name): float(table[name].iloc[row]) for name in columns}
    return dict(sorted(chances.items(), key=lambda pair: -pair[1]))


def _run(command: list[str], report: Progress) -> tuple[int, str]:
    """Run a command to its end; return its exit code and the last line that it said.

    The process is ended with the page: a page switch raises out of `report`.
    """
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    last = ""
    with process:
        try:
            for line in process.stderr or ():
                last = line.strip() or last
                if found := _COUNT.search(last):
                    done, total = (int(number.replace(",", "")) for number in found.groups())
                    report(min(1.0, done / max(1, total)), last)
        except BaseException:
            process.kill()
            raise
    return process.returncode, last


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="graft-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
