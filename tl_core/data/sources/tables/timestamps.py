"""Times in cells (dates, years, Unix timestamps) as seconds since 1970, with the format guessed."""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

from tl_core.data.sources.tables.table_rows import MISSING

_DAY_OR_MONTH = re.compile(r"\s*(\d{1,2})[./-](\d{1,2})[./-]\d{2,4}")
_NUMBER = re.compile(r"\s*[-+]?\d+(\.\d*)?\s*")
_ENOUGH = 0.9  # share of cells that must be readable as times, if a column holds times
_EPOCH = pd.Timestamp(0, tz="UTC").as_unit("us")

Times = Callable[[Sequence[str]], np.ndarray]
"""Returns the seconds since 1970 of some cells, float64 `[N]`, nan where a cell cannot be read."""


@dataclass(frozen=True)
class TimeReader:
    """Reads the cells of one column in one format: numbers, or dates in one order of day and month."""

    numbers: str = ""  # "year", "date" (20240131), "seconds" or "milliseconds"; "" for written dates
    day_first: bool = False
    format: str = ""

    def read(self, cells: Sequence[str]) -> np.ndarray:
        """Return the seconds since 1970 of some cells, float64 `[N]`, nan where a cell cannot be read."""
        series = pd.Series([cell.strip() for cell in cells], dtype=object)
        series = series.where(~series.isin(MISSING), None)
        if self.numbers in ("seconds", "milliseconds"):
            values = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, copy=True)
            values[~np.isfinite(values)] = np.nan
            return values / (1000 if self.numbers == "milliseconds" else 1)
        if self.numbers:
            series = series.str.removesuffix(".0")
            return _seconds(_parsed(series, "%Y" if self.numbers == "year" else "%Y%m%d"))
        times = _parsed(series, "ISO8601")
        for form in (self.format, "mixed"):
            unread = times.isna() & series.notna()
            if form and unread.any():
                times = times.where(~unread, _parsed(series.where(unread, None), form, self.day_first))
        return _seconds(times)


def guess_time_reader(cells: Sequence[str]) -> TimeReader:
    """Guess how the cells of a column hold times, from some of them."""
    filled = [cell.strip() for cell in cells if cell.strip() not in MISSING]
    if filled and all(_NUMBER.fullmatch(cell) for cell in filled):
        return TimeReader(_number_kind(np.array([float(cell) for cell in filled])))
    pairs = [match for cell in filled if (match := _DAY_OR_MONTH.match(cell))]
    if any(int(match[1]) > 12 for match in pairs):
        day_first = True
    elif any(int(match[2]) > 12 for match in pairs):
        day_first = False
    else:
        day_first = any("." in match[0] for match in pairs)  # dates with dots start with the day everywhere
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guessed = guess_datetime_format(filled[0], dayfirst=day_first) if filled else ""
    return TimeReader("", day_first, guessed or "")


def holds_times(cells: Sequence[str]) -> bool:
    """Return whether nearly all filled cells can be read as times."""
    filled = [cell for cell in cells if cell.strip() not in MISSING]
    return bool(filled) and bool(np.isfinite(guess_time_reader(filled).read(filled)).mean() >= _ENOUGH)


def _number_kind(values: np.ndarray) -> str:
    if ((values >= 1000) & (values < 3000) & (values % 1 == 0)).all():
        return "year"
    if ((values >= 19000101) & (values < 30000101) & (values % 1 == 0)).all():
        return "date"
    return "milliseconds" if np.median(np.abs(values)) > 1e11 else "seconds"


def _parsed(series: pd.Series, form: str, day_first: bool = False) -> pd.Series:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pd.to_datetime(series, format=form, dayfirst=day_first, utc=True, errors="coerce")


def _seconds(times: pd.Series) -> np.ndarray:
    return ((times.dt.as_unit("us") - _EPOCH) / pd.Timedelta(seconds=1)).to_numpy(dtype=np.float64)
