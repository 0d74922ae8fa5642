"""What went wrong between this machine and the hub, in words, and the way on."""

import errno
import ssl
from collections.abc import Iterator
from typing import Any

from tl_core.backbones.hub.names import HubModel
from tl_core.errors import DownloadError, GraftError, WorkspaceError

AGAIN = "Fetch it again: it goes on where it broke off."
BRING = (
    "Or download it on a machine that has a connection, and bring its folder (config.json, the weights, and the "
    "tokenizer files of a text model): python -m tl_core fetch FOLDER."
)
LOGIN = "`hf auth login`"


class WebPage(Exception):
    """A web page came in place of what was asked for."""


class Damaged(Exception):
    """What came has another size or another checksum than the hub promises."""


class Stalled(Exception):
    """Nothing came, or next to nothing, for too long."""


def response_of(error: BaseException) -> Any | None:
    """Return the answer of the server that an exception carries, None where there was none."""
    answers = (getattr(link, "response", None) for link in _chain(error))
    return next((answer for answer in answers if answer is not None), None)


def status_of(error: BaseException) -> int:
    """Return the HTTP status that an exception is about, 0 where no answer came."""
    response = response_of(error)
    return response.status_code if response is not None else 0


def retry_after(error: BaseException) -> float:
    """Return how many seconds the server asks to wait, 0 where it does not say."""
    response = response_of(error)
    word = response.headers.get("Retry-After", "") if response is not None else ""
    return float(word) if word.isdigit() else 0.0


def explain(error: Exception, model: HubModel, path: str = "") -> GraftError:
    """Return one sentence and a hint for whatever ended a request; `path` is the file that was asked for."""
    if isinstance(error, GraftError):
        return error
    status = status_of(error)
    return _answered(error, status, model, path) if status >= 400 else _unanswered(error, model, path)


def no_room(free: int, needed: int, spare: int) -> WorkspaceError:
    """Return that a download does not fit on the disk; all in bytes, `spare` stays free."""
    return WorkspaceError(
        f"The download needs {readable_size(needed)}, but only {readable_size(max(0, free - spare))} can be used "
        f"({readable_size(free)} are free, and {readable_size(spare)} stay free).",
        "Free some space, delete a backbone that was fetched, or set GRAFT_HOME to a folder on another disk.",
    )


def readable_size(count: float) -> str:
    """Return a number of bytes as a person reads it."""
    if count >= 1e9:
        return f"{count / 1e9:,.1f} GB"
    return f"{count / 1e6:.{0 if count >= 1e7 else 1}f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _answered(error: Exception, status: int, model: HubModel, path: str) -> GraftError:
    response = response_of(error)
    code = response.headers.get("X-Error-Code", "") if response is not None else ""
    reason = response.headers.get("X-Error-Message", "") if response is not None else ""
    if code == "GatedRepo":
        return _gated(signed_in=status == 403, model=model)
    if code == "RevisionNotFound":
        hint = "Leave the revision out to take the newest, or choose one from its page."
        return DownloadError(f"{model.repo} has no revision {model.revision}.", hint)
    if code == "RepoNotFound":
        hint = f"Check how its page spells it: OWNER/NAME. A private model needs a login first: {LOGIN}."
        return DownloadError(f"The hub has no model {model.repo}, or it is private.", hint)
    if code == "EntryNotFound" or (status == 404 and path):
        return DownloadError(f"The hub lists {path} of {model.repo} but does not have it.", "Try again later. " + BRING)
    if "disabled" in reason:
        return DownloadError(f"The hub has closed {model.repo}.", "Take another model. " + BRING)
    if status == 401:
        hint = f"Sign in again with {LOGIN}, or correct or unset HF_TOKEN."
        return DownloadError("The hub does not accept the login of this machine.", hint)
    if status == 403:
        hint = f"Check what the token of this machine may read, or sign in with {LOGIN}. {BRING}"
        return DownloadError(f"The hub refuses {path or model.repo}.", hint)
    if status == 429:
        seconds = retry_after(error)
        wait = f"in {seconds:,.0f} seconds" if seconds else "in some minutes"
        return DownloadError(
            "The hub has had too many requests from here and asks to wait.",
            f"Try again {wait}. Those who are signed in ({LOGIN}) may ask more often.",
        )
    if status >= 500:
        hint = "Try again in some minutes: a download goes on where it broke off."
        return DownloadError(f"The hub has a fault of its own at the moment (status {status}).", hint)
    if status == 404:
        hint = f"Check how its page spells it: OWNER/NAME. {BRING}"
        return DownloadError(f"The hub has no model {model.repo}, or HF_ENDPOINT names something else.", hint)
    return DownloadError(f"The hub refuses {path or model.repo} (status {status}).", f"Try again later. {BRING}")


def _gated(signed_in: bool, model: HubModel) -> DownloadError:
    accept = f"Ask for access at {model.page} (sign in there and accept the terms)"
    if signed_in:
        return DownloadError(
            f"The account of this machine has no access to {model.repo} yet.",
            f"{accept}. Once its owner has let you in, fetch it again.",
        )
    return DownloadError(
        f"{model.repo} is only given to people who are signed in and have accepted its terms.",
        f"{accept}. Then sign in on this machine with {LOGIN}, and fetch it again.",
    )


def _unanswered(error: Exception, model: HubModel, path: str) -> GraftError:
    kinds = {kind.__name__ for link in _chain(error) for kind in type(link).__mro__}
    what = f"{path} of {model.repo}" if path else model.repo
    if "OfflineModeIsEnabled" in kinds:
        return DownloadError("Downloads are switched off on this machine by HF_HUB_OFFLINE.", f"Unset it. {BRING}")
    if isinstance(error, WebPage) or "JSONDecodeError" in kinds:
        return DownloadError(
            f"A web page came in place of {what}.",
            "The network may want you to sign in first: open any page in a browser, then fetch it again.",
        )
    if isinstance(error, Damaged):
        return DownloadError(
            f"{what} arrived twice with another content than the hub promises ({error}).",
            "Something on the way changes it, or the hub is at fault. Try again later or from another network.",
        )
    if any(isinstance(link, ssl.SSLCertVerificationError) for link in _chain(error)):
        hint = "Check the clock of this machine; in a company network, ask for its certificate and set SSL_CERT_FILE."
        return DownloadError("The connection to the hub cannot be trusted: its certificate is not valid.", hint)
    if full := next((link for link in _chain(error) if isinstance(link, OSError) and link.errno in _FULL), None):
        return WorkspaceError(
            f"The disk was full before {what} had arrived ({full.strerror}).", "Free some space, then fetch it again."
        )
    if path and kinds & {"Stalled", "ReadError", "ReadTimeout", "RemoteProtocolError", "ProtocolError"}:
        return DownloadError(f"The connection broke off again and again while {what} was on its way.", AGAIN)
    if kinds & {"TransportError", "ConnectionError", "TimeoutError", "Stalled"}:
        return DownloadError(
            f"The hub cannot be reached, so {what} cannot be downloaded.", f"Check the connection. {BRING}"
        )
    client_message = " ".join(str(error).split())[:200] or type(error).__name__
    return DownloadError(f"{what} could not be downloaded.", f"The hub's client says: {client_message}")


_FULL = (errno.ENOSPC, errno.EDQUOT)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, what it was raised from, and so on."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        seen.append(link)
        yield link
        link = link.__cause__ or link.__context__
