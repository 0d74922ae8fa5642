"""A data set of the Hugging Face hub, by name, read as a stream and never by a program that comes with it."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from tl_core.data.dataset import Dataset
from tl_core.data.options import ImportOptions, OnProgress, RawItem
from tl_core.data.sources.file_tree import MAX_FILE
from tl_core.data.sources.hub_columns import HubColumns, Row, choose, preview
from tl_core.data.sources.source import Source
from tl_core.data.sources.split_names import guess_split_of_part
from tl_core.data.sources.store import Draft, store
from tl_core.data.sources.table_preview import TablePreview
from tl_core.errors import DataError, GraftError
from tl_core.workspace import Limits, Workspace, sweep

HUB_PREFIX = "hub:"
_PAGE = re.compile(r"https://huggingface\.co/datasets/([^/?#]+/[^/?#]+)/?(?:viewer/([^/?#]+).*)?$")
_NAME = re.compile(r"(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)(?::(?P<config>[^@:]+))?(?:@(?P<revision>[\w./-]+))?$")
_OFFLINE = {
    *("OfflineModeIsEnabled", "LocalEntryNotFoundError", "ConnectionError", "ConnectError", "TimeoutException"),
    *("TransportError", "NetworkError", "ReadTimeout", "RemoteProtocolError"),
}
_NO_FILES = {"EmptyDatasetError", "DataFilesNotFoundError"}
_NOT_FOUND = {"RepositoryNotFoundError", "DatasetNotFoundError"}
_SAMPLE = 20  # rows that columns are chosen by


@dataclass(frozen=True)
class HubName:
    """Which data set, which of its configurations ("" for the only or usual one), and which revision of it."""

    repo: str
    config: str = ""
    revision: str = ""


def is_hub(source: str) -> bool:
    """Return whether a source names a data set of the hub: `hub:owner/name`, or the address of its page."""
    return source.strip().startswith((HUB_PREFIX, "https://huggingface.co/datasets/"))


def parse_hub(source: str) -> HubName:
    """Read `hub:owner/name[:configuration][@revision]`. Raises DataError where it is not written so."""
    source = source.strip()
    page = _PAGE.match(source)
    if page:
        return HubName(page[1], page[2] or "")
    found = _NAME.match(source.removeprefix(HUB_PREFIX).strip())
    if not found:
        raise DataError(
            f"{source} does not name a data set of the hub.",
            "Write hub:owner/name, and where it has several configurations hub:owner/name:configuration.",
        )
    return HubName(found["repo"], found["config"] or "", found["revision"] or "")


def import_hub(source: str, workspace: Workspace, options: ImportOptions, progress: OnProgress) -> Dataset:
    """Import a data set of the hub: pictures or texts, with the labels and splits that it has.

    Columns are found by their types and names; `options` corrects them (`path_column` names the pictures).
    Raises DataError where the hub or the data set cannot be reached or read, and where it is too large.
    """
    name = parse_hub(source)
    progress("Asking the hub", 0, 0)
    cache = workspace.folder("cache")
    sweep(cache, "hub-*")
    with tempfile.TemporaryDirectory(prefix="hub-", dir=cache, ignore_cleanup_errors=True) as folder:
        with _in_words(name):
            parts, total = _open(name, folder, workspace.limits)
            first = next(iter(parts.values()))
            columns = choose(first.features, partial(_first_rows, first), options, name.repo)
        draft = Draft(options.name or name.repo.split("/")[1], source.strip(), columns.modality)
        draft.text_column = columns.item if columns.modality == "text" else ""
        draft.subgroup_column = columns.subgroup
        stream = _HubRows(name, columns, draft, workspace.limits)
        return store(stream.items(parts), draft, workspace, progress, total)


def preview_hub(source: str, options: ImportOptions, limits: Limits) -> TablePreview:
    """Return the first rows of a data set of the hub, and which columns would be read. Raises as `import_hub` does."""
    name = parse_hub(source)
    with tempfile.TemporaryDirectory(prefix="hub-", ignore_cleanup_errors=True) as folder, _in_words(name):
        parts, total = _open(name, folder, limits)
        first = next(iter(parts.values()))
        return preview(first.features, _first_rows(first), options, name.repo, total)


def _open(name: HubName, folder: str, limits: Limits) -> tuple[dict[str, Any], int]:
    """Return the parts of a data set as streams, and how many rows they have together (0 where nobody says)."""
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    builder = datasets.load_dataset_builder(
        f"hf://datasets/{name.repo}", name.config or None, revision=name.revision or None, cache_dir=folder
    )
    _check_size(name, builder, limits)
    streams = builder.as_streaming_dataset()
    parts = {part: rows.decode(False) if rows.features else rows for part, rows in streams.items()}
    counts = builder.info.splits or {}
    return parts, sum(counts[each].num_examples or 0 for each in parts if each in counts)


def _first_rows(rows: Any) -> list[Row]:
    return list(islice(rows, _SAMPLE))


def _check_size(name: HubName, builder: Any, limits: Limits) -> None:
    """Raise DataError where the files of a configuration are too large, before any of them is read."""
    from huggingface_hub import HfApi

    wanted = {str(url) for urls in (builder.config.data_files or {}).values() for url in urls}
    commit = builder.hash
    found = HfApi().dataset_info(name.repo, revision=commit, files_metadata=True)
    base = f"hf://datasets/{name.repo}@{commit}/"
    size = sum(each.size or 0 for each in found.siblings or () if base + each.rfilename in wanted)
    if size > limits.download:
        config = f" in its configuration {builder.config.name}" if builder.config.name != "default" else ""
        most = f"at most {limits.download / 2**30:.1f} GB are read"
        raise DataError(
            f"{name.repo} has {size / 2**30:.1f} GB of files{config}; {most}.",
            "Choose a smaller configuration or data set, or save a part of it as a file and give that.",
        )


class _HubRows:
    """Makes items of rows as they come."""

    def __init__(self, name: HubName, columns: HubColumns, draft: Draft, limits: Limits) -> None:
        self._name = name
        self._columns = columns
        self._draft = draft
        self._left = limits.unpacked

    def items(self, parts: dict[str, Any]) -> Iterator[RawItem]:
        """Yield the items of all parts; write down rows without a label and parts that are no split."""
        known = {part: guess_split_of_part(part) for part in parts}
        several = len(set(known.values()) - {""}) > 1
        for part, rows in parts.items():
            if any(known.values()) and not known[part]:
                self._draft.skip(part, "a part with another name than train, validation and test")
                continue
            for number, row in enumerate(self._rows(rows), start=1):
                item = f"{part} row {number}" if len(parts) > 1 else f"row {number}"
                try:
                    labels = self._columns.labels(row)
                except ValueError as error:
                    self._draft.skip(item, str(error))
                    continue
                yield self._item(item, row, labels, known[part] if several else "")

    def _rows(self, rows: Any) -> Iterator[dict[str, Any]]:
        with _in_words(self._name):
            coming = iter(rows)
        while True:
            with _in_words(self._name):
                row = next(coming, None)
            if row is None:
                return
            yield row

    def _item(self, item: str, row: dict[str, Any], labels: tuple[str, ...] | str, given: str) -> RawItem:
        columns, value = self._columns, row[self._columns.item]
        one, several = (labels, None) if isinstance(labels, str) else ("", labels)
        group, subgroup = columns.word(row, columns.group), columns.word(row, columns.subgroup)
        more: dict[str, Any] = {"labels": several, "subgroup": subgroup, "time": columns.seconds(row)}
        if columns.modality == "text":
            text = value if isinstance(value, str) else ""
            self._count(len(text))
            return RawItem(item, one, given, group, text, **more)

        def read() -> bytes:
            data = _picture(value, self._name)
            self._count(len(data))
            return data

        return RawItem(item, one, given, group, read=read, **more)

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _TooMuch(
                f"{self._name.repo} unpacks to more than can be kept safely.",
                "Choose a smaller configuration or data set.",
            )


class _TooMuch(GraftError):
    """Ends an import, where a DataError would only skip an item."""


def _picture(value: Any, name: HubName) -> bytes:
    """Return the bytes of a picture: those in the row, or a file of the same data set, never any other file."""
    value = value if isinstance(value, dict) else {}
    if value.get("bytes"):
        return value["bytes"]
    path = value.get("path") or ""
    if not path:
        raise DataError("there is no picture in this row")
    if (
        not re.match(rf"(zip://[^:]*::)?hf://datasets/{re.escape(name.repo)}@[^/]+/", path)
        or ".." in path.split("/")
        or path.count("::") > path.startswith("zip:")
    ):
        raise DataError("its picture is not part of the data set")
    try:
        import fsspec

        with fsspec.open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except Exception as error:
        raise DataError("it could not be downloaded") from error
    if len(data) > MAX_FILE:
        raise DataError(f"it is larger than {MAX_FILE // 2**20:,} MB")
    return data


@contextmanager
def _in_words(name: HubName) -> Iterator[None]:
    """Turn whatever the hub's client raises (it has a dozen types for it) into a DataError."""
    try:
        yield
    except GraftError:
        raise
    except Exception as error:
        raise _explain(error, name.repo, name.config, name.revision) from error


def _explain(error: Exception, repo: str, config: str, revision: str) -> DataError:
    """Return one sentence and a hint for an exception that the hub's client raised."""
    chain = _chain(error)
    kinds = {kind.__name__ for each in chain for kind in type(each).__mro__}
    text = str(error)
    if "GatedRepoError" in kinds or "gated dataset" in text:
        hint = "Ask for access on its page at huggingface.co, and log in on this machine with `hf auth login`."
        return DataError(f"{repo} is only given to people whom its owner has let in.", hint)
    if text.startswith("Config name is missing") or (text.startswith("BuilderConfig") and "not found" in text):
        return _configurations(repo, config, revision)
    if "scripts are no longer supported" in text:
        return DataError(
            f"{repo} comes with a program that must be run to read it, and programs from the hub are never run.",
            f"Many have a copy without one: try hub:{repo}@refs/convert/parquet.",
        )
    if "RevisionNotFoundError" in kinds or text.startswith("Revision '"):
        return DataError(f"{repo} has no revision {revision}.", "Leave it out to have the newest one.")
    if kinds & _NO_FILES:
        return DataError(f"{repo} holds no files that can be read as pictures or a table.", "Look at its page.")
    if kinds & _OFFLINE:
        hint = "Check the connection to the internet, and try again; or give a file or a folder of this machine."
        return DataError(f"The hub could not be reached to read {repo}.", hint)
    if kinds & _NOT_FOUND:
        hint = "Check how it is written on its page, as owner/name; a private one needs `hf auth login`."
        return DataError(f"There is no data set {repo} on the hub, or it is private.", hint)
    said = " ".join(text.split())[:200] or type(error).__name__
    return DataError(f"{repo} could not be read from the hub.", f"The hub's client said: {said}")


def _configurations(repo: str, config: str, revision: str) -> DataError:
    from datasets import get_dataset_config_names

    try:
        names = get_dataset_config_names(f"hf://datasets/{repo}", revision=revision or None)
    except Exception:  # the hub is gone since a moment ago
        names = []
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")
    message = f"{repo} has no configuration {config}" if config else f"{repo} has several configurations"
    example = f", for example hub:{repo}:{names[0]}" if names else ""
    return DataError(f"{message}{': ' if names and not config else ''}{shown if not config else ''}.",
                     f"Choose one of {shown or 'those on its page'}{example}.")  # fmt: skip


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception, what it was raised from, and what that was."""
    found: list[BaseException] = []
    rest: BaseException | None = error
    while rest is not None and rest not in found:
        found.append(rest)
        rest = rest.__cause__ or rest.__context__
    return found


HUB = Source("a data set of the Hugging Face hub", is_hub, preview_hub, import_hub)
