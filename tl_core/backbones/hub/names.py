"""How a person names a model of the hub."""

import re
from dataclasses import dataclass

from tl_core.errors import UsageError

HUB_PREFIX = "hub:"
_PAGES = ("https://huggingface.co/", "https://hf.co/")
_NAME = re.compile(r"(?P<repo>\w[\w.-]*(?:/\w[\w.-]*)?)(?:(?:@|/tree/)(?P<revision>\w[\w./-]*))?$", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}$")


@dataclass(frozen=True)
class HubModel:
    """A repository, OWNER/NAME, and a branch, tag or commit of it; "" is the newest."""

    repo: str
    revision: str = ""

    @property
    def name(self) -> str:
        """The name in plans: `hub:OWNER/NAME@REVISION`."""
        return f"{HUB_PREFIX}{self.repo}" + (f"@{self.revision}" if self.revision else "")

    @property
    def pinned(self) -> bool:
        """True where the revision is a commit, which never changes."""
        return bool(_COMMIT.match(self.revision))

    @property
    def page(self) -> str:
        """The address of its page."""
        return f"https://huggingface.co/{self.repo}"


def is_hub_model(text: str) -> bool:
    """Return whether a text is written as a model of the hub: `hub:OWNER/NAME`, or the address of its page."""
    return text.strip().startswith((HUB_PREFIX, *_PAGES))


def parse_model(text: str) -> HubModel:
    """Read `hub:OWNER/NAME[@REVISION]` or the address of a model's page. Raises UsageError."""
    name = text.strip()
    for prefix in (HUB_PREFIX, *_PAGES):
        name = name.removeprefix(prefix)
    match = _NAME.match(name.strip().rstrip("/"))
    if not match or ".." in name or "--" in match["repo"] or match["repo"].startswith(("datasets/", "spaces/")):
        raise UsageError(f"{text.strip()} does not name a model of the hub.", "Write hub:OWNER/NAME, as on its page.")
    return HubModel(match["repo"], match["revision"] or "")
