"""Which licences are standard open ones, under which weights may be used without asking anybody."""

import re

_OPEN = re.compile(
    r"mit|isc|unlicense|zlib|apache[ -]?(license )?(version )?2(\.0)?|bsd([ -][234]-clause)?|"
    r"cc0([ -]1\.0)?|cc[ -]by([ -]sa)?([ -][234]\.0)?|mpl[ -]2\.0|[al]?gpl[ -]v?[23](\.[01])?(-only|-or-later)?"
)


def is_open(licence: str) -> bool:
    """Return whether a stated licence is a standard open one: MIT, Apache-2.0, BSD, CC BY and the like."""
    return _OPEN.fullmatch(licence.strip().lower()) is not None
