"""Names as text: what a person called something stays as it is where it is shown or written as Markdown."""

import re

_MARKS = re.compile(r"[\\`*\[\]<>$~#|&!^{}]|:(?=\S)|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""Characters that begin markup of CommonMark, of GitHub's tables and footnotes, or of Streamlit's directives."""
_START = re.compile(r"(?:[-+=]|\d+[.)])(?=\s|\Z)")
"""What begins a list or underlines a heading at the start of a line."""
_ADDRESSES = r"(?:https?|ftp|mailto|xmpp)(?=:)|www(?=\.)|@"
_ARROWS = r"[-<>=~](?=[-<>=~])|:(?=material/|[\w+-]+:)"
_LATE = {True: re.compile(_ARROWS), False: re.compile(f"(?i){_ADDRESSES}|{_ARROWS}")}
"""What renderers make links, arrows, dashes or icons of, up to where it is interrupted; with links allowed or not."""
_JOINER = "\u2060"
"""Word joiner: of no width, and no place to break a line."""


def escape(text: str, links: bool = False) -> str:
    """Return text on one line that Markdown shows unchanged, and never as a link, a picture, a formula or a list.

    Backslashes keep CommonMark (https://spec.commonmark.org, "Backslash escapes") from seeing markup. Bare addresses
    and arrows are looked for by GitHub's and Streamlit's renderers once backslashes are resolved, so a word joiner
    interrupts them. `links` leaves bare addresses as they are: sentences of our own may name a page.
    """
    line = re.sub(r"\s*[\r\n]\s*", " ", text).strip()
    line = _LATE[links].sub(lambda match: match[0] + _JOINER, line)
    line = _MARKS.sub(lambda match: "\\" + match[0], line)
    start = _START.match(line)
    if start is None:
        return line
    at = start.end() - 1  # the dash, the dot or the bracket
    return f"{line[:at]}\\{line[at:]}"


def code(text: str) -> str:
    """Return text as a code span, whatever backticks it holds (CommonMark, "Code spans")."""
    line = re.sub(r"\s*[\r\n]\s*", " ", text)
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") or not line.strip() else ""
    return f"{fence}{pad}{line}{pad}{fence}"
