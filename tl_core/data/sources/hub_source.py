"""A data set of the Hugging Face hub, by name. It is streamed, and no code that comes with it is run."""

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
from tl_core.data.sources.hub_columns import HubColumns, Row, choose_hub_columns, preview_hub_rows
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
_SAMPLE = 20  # rows that columns are guessed from


@dataclass(frozen=True)
class HubName:
    """A data set, its configuration ("" for the default) and its revision ("" for the newest)."""

    repo: str
    config: str = ""
    revision: str = ""


def is_hub(source: str) -> bool:
    """Return whether a source names a data set of the hub: `hub:owner/name`, or the address of its page."""
    return source.strip().startswith((HUB_PREFIX, "https://huggingface.co/datasets/"))


def parse_hub(source: str) -> HubName:
    """Parse `hub:owner/name[:configuration][@revision]` or the address of a page. Raises DataError for other forms."""
    source = source.strip()
    page = _PAGE.match(source)
    if page:
        return HubName(page[1], page[2] or "")
    match = _NAME.match(source.removeprefix(HUB_PREFIX).strip())
    if not match:
        raise DataError(
            f"{source} does not name a data set of the hub.",
            "Write hub:owner/name, and where it has several configurations hub:owner/name:configuration.",
        )
    return HubName(match["repo"], match["config"] or "", match["revision"] or "")


def import_hub(source: str, workspace: Workspace, options: ImportOptions, progress: OnProgress) -> Dataset:
    """Import a data set of the hub: pictures or texts, with its labels and splits.

    Columns are guessed by type and name, and `options` overrides the guesses (`path_column` names the pictures).
    Raises DataError where the hub or the data set cannot be reached or read, and where it is too large.
    """
    name = parse_hub(source)
    progress("Asking the hub", 0, 0)
    cache = workspace.folder("cache")
    sweep(cache, "hub-*")
    with tempfile.TemporaryDirectory(prefix="hub-", dir=cache, ignore_cleanup_errors=True) as folder:
        with _as_data_error(name):
            parts, total = _open(name, folder, workspace.limits)
            first = next(iter(parts.values()))
            columns = choose_hub_columns(first.features, partial(_first_rows, first), options, name.repo)
        draft = Draft(options.name or name.repo.split("/")[1], source.strip(), columns.modality)
        draft.text_column = columns.item if columns.modality == "text" else ""
        draft.subgroup_column = columns.subgroup
        stream = _HubRows(name, columns, draft, workspace.limits)
        return store(stream.items(parts), draft, workspace, progress, total)


def preview_hub(source: str, options: ImportOptions, limits: Limits) -> TablePreview:
    """Return the first rows of a data set of the hub and the guessed columns. Raises as `import_hub` does."""
    name = parse_hub(source)
    with tempfile.TemporaryDirectory(prefix="hub-", ignore_cleanup_errors=True) as folder, _as_data_error(name):
        parts, total = _open(name, folder, limits)
        first = next(iter(parts.values()))
        return preview_hub_rows(first.features, _first_rows(first), options, name.repo, total)


def _open(name: HubName, folder: str, limits: Limits) -> tuple[dict[str, Any], int]:
    """Return the parts of a data set as streams, and the number of rows in all parts (0 where it is unknown)."""
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
    return parts, sum(counts[part].num_examples or 0 for part in parts if part in counts)


def _first_rows(rows: Any) -> list[Row]:
    return list(islice(rows, _SAMPLE))


def _check_size(name: HubName, builder: Any, limits: Limits) -> None:
    """Raise DataError where the files of a configuration are too large, before reading any."""
    from huggingface_hub import HfApi

    wanted = {str(url) for urls in (builder.config.data_files or {}).values() for url in urls}
    commit = builder.hash
    info = HfApi().dataset_info(name.repo, revision=commit, files_metadata=True)
    base = f"hf://datasets/{name.repo}@{commit}/"
    size = sum(file.size or 0 for file in info.siblings or () if base + file.rfilename in wanted)
    if size > limits.download:
        config = f" in its configuration {builder.config.name}" if builder.config.name != "default" else ""
        most = f"at most {limits.download / 2**30:.1f} GB are read"
        raise DataError(
            f"{name.repo} has {size / 2**30:.1f} GB of files{config}; {most}.",
            "Choose a smaller configuration or data set, or save a part of it as a file and give that.",
        )


class _HubRows:
    """Turns the rows of a hub data set into items as they arrive."""

    def __init__(self, name: HubName, columns: HubColumns, draft: Draft, limits: Limits) -> None:
        self._name = name
        self._columns = columns
        self._draft = draft
        self._left = limits.unpacked

    def items(self, parts: dict[str, Any]) -> Iterator[RawItem]:
        """Yield the items of all parts. Rows without a label and parts that are no split are skipped in the draft."""
        splits = {part: guess_split_of_part(part) for part in parts}
        several = len(set(splits.values()) - {""}) > 1
        for part, rows in parts.items():
            if any(splits.values()) and not splits[part]:
                self._draft.skip(part, "a part with another name than train, validation and test")
                continue
            for number, row in enumerate(self._rows(rows), start=1):
                item = f"{part} row {number}" if len(parts) > 1 else f"row {number}"
                try:
                    labels = self._columns.labels(row)
                except ValueError as error:
                    self._draft.skip(item, str(error))
                    continue
                yield self._item(item, row, labels, splits[part] if several else "")

    def _rows(self, rows: Any) -> Iterator[dict[str, Any]]:
        with _as_data_error(self._name):
            stream = iter(rows)
        while True:
            with _as_data_error(self._name):
                row = next(stream, None)
            if row is None:
                return
            yield row

    def _item(self, item: str, row: dict[str, Any], labels: tuple[str, ...] | str, given: str) -> RawItem:
        columns, value = self._columns, row[self._columns.item]
        label, several = (labels, None) if isinstance(labels, str) else ("", labels)
        group, subgroup = columns.text(row, columns.group), columns.text(row, columns.subgroup)
        more: dict[str, Any] = {"labels": several, "subgroup": subgroup, "time": columns.seconds(row)}
        if columns.modality == "text":
            text = value if isinstance(value, str) else ""
            self._count(len(text))
            return RawItem(item, label, given, group, text, **more)

        def read() -> bytes:
            data = _picture(value, self._name)
            self._count(len(data))
            return data

        return RawItem(item, label, given, group, read=read, **more)

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _TooLarge(
                f"{self._name.repo} unpacks to more than can be kept safely.",
                "Choose a smaller configuration or data set.",
            )


class _TooLarge(GraftError):
    """Ends the import, where a DataError would only skip an item."""


def _picture(value: Any, name: HubName) -> bytes:
    """Return the bytes of a picture, from the row or from a file of the same data set. No other file is ever read."""
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
def _as_data_error(name: HubName) -> Iterator[None]:
    """Turn any exception of the hub's client, which has a dozen types, into a DataError."""
    try:
        yield
    except GraftError:
        raise
    except Exception as error:
        raise _explain(error, name.repo, name.config, name.revision) from error


def _explain(error: Exception, repo: str, config: str, revision: str) -> DataError:
    """Return a DataError that explains an exception of the hub's client."""
    chain = _chain(error)
    kinds = {kind.__name__ for link in chain for kind in type(link).__mro__}
    text = str(error)
    if "GatedRepoError" in kinds or "gated dataset" in text:
        hint = "Ask for access on its page at huggingface.co, and log in on this machine with `hf auth login`."
        return DataError(f"{repo} is restricted to people whom its owner has approved.", hint)
    if text.startswith("Config name is missing") or (text.startswith("BuilderConfig") and "not found" in text):
        return _configurations(repo, config, revision)
    if "scripts are no longer supported" in text:
        return DataError(
            f"{repo} can only be read by running its own code, and code from the hub is never run.",
            f"Many have a copy without one: try hub:{repo}@refs/convert/parquet.",
        )
    if "RevisionNotFoundError" in kinds or text.startswith("Revision '"):
        return DataError(f"{repo} has no revision {revision}.", "Leave the revision out to get the newest one.")
    if kinds & _NO_FILES:
        return DataError(f"{repo} holds no files that can be read as pictures or a table.", "Look at its page.")
    if kinds & _OFFLINE:
        hint = "Check the connection to the internet, and try again; or give a file or a folder of this machine."
        return DataError(f"The hub could not be reached to read {repo}.", hint)
    if kinds & _NOT_FOUND:
        hint = "Check how it is written on its page, as owner/name; a private one needs `hf auth login`."
        return DataError(f"There is no data set {repo} on the hub, or it is private.", hint)
    reason = " ".join(text.split())[:200] or type(error).__name__
    return DataError(f"{repo} could not be read from the hub.", f"The hub's client says: {reason}")


def _configurations(repo: str, config: str, revision: str) -> DataError:
    from datasets import get_dataset_config_names

    try:
        names = get_dataset_config_names(f"hf://datasets/{repo}", revision=revision or None)
    except Exception:  # the hub became unreachable in the meantime
        names = []
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")
    message = f"{repo} has no configuration {config}" if config else f"{repo} has several configurations"
    example = f", for example hub:{repo}:{names[0]}" if names else ""
    return DataError(f"{message}{': ' if names and not config else ''}{shown if not config else ''}.",
                     f"Choose one of {shown or 'those on its page'}{example}.")  # fmt: skip


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception followed by its causes."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    return chain


HUB = Source("a data set of the Hugging Face hub", is_hub, preview_hub, import_hub)
