"""What every source is: how it is recognised, previewed and imported."""

from collections.abc import Callable
from dataclasses import dataclass

from tl_core.data.dataset import Dataset
from tl_core.data.options import ImportOptions, OnProgress
from tl_core.data.sources.table_preview import Preview
from tl_core.workspace import Limits, Workspace


@dataclass(frozen=True)
class Source:
    """One kind of source. All three functions take the string that a person gave.

    `takes` recognises it. `preview` returns the first rows and the proposed columns, None where there is nothing to
    choose. `load` imports it. Each raises DataError, in a whole sentence, where the source cannot be read.
    """

    title: str
    takes: Callable[[str], bool]
    preview: Callable[[str, ImportOptions, Limits], Preview | None]
    load: Callable[[str, Workspace, ImportOptions, OnProgress], Dataset]
