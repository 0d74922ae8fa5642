"""What went wrong with the hub, in words."""

from tl_core.errors import DataError

_OFFLINE = {
    *("OfflineModeIsEnabled", "LocalEntryNotFoundError", "ConnectionError", "ConnectError", "TimeoutException"),
    *("TransportError", "NetworkError", "ReadTimeout", "RemoteProtocolError"),
}
_NO_FILES = {"EmptyDatasetError", "DataFilesNotFoundError"}
_NOT_FOUND = {"RepositoryNotFoundError", "DatasetNotFoundError"}


def explain(error: Exception, repo: str, config: str, revision: str) -> DataError:
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
