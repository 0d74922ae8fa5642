"""Where the weights of a backbone came from, kept beside them."""

from dataclasses import dataclass

TEXT = "#text"
"""What the name of the part for texts ends with, of a network for pictures and texts."""


@dataclass(frozen=True)
class Provenance:
    """One fetched backbone.

    name: what plans call it: `hub:OWNER/NAME@COMMIT`, `torchvision:NAME@CHECKSUM` or `folder:SLUG@DIGEST`; of networks
        for pictures and texts, the part for texts is called that with `#text` behind it
    source: the address of its page, or the path that a person gave
    licence: as stated there, "" where nothing is stated
    revision: the commit, "" for one's own files
    bytes: of the weights
    sha256: over the lines `SHA256 FILE` of the weight files, sorted by file
    """

    name: str
    source: str
    licence: str = ""
    revision: str = ""
    bytes: int = 0
    sha256: str = ""
