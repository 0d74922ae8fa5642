"""The product's mark: a scion grafted on a rooted stem."""

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
LOGO = ASSETS / "logo.svg"
FAVICON = ASSETS / "favicon.svg"


def asset(name: str) -> str:
    """Return the text of a style or script of the inline components."""
    return (ASSETS / name).read_text(encoding="utf-8")
