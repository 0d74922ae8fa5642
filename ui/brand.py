"""The logo: a scion grafted on a rooted stem."""

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
LOGO = ASSETS / "logo.svg"
FAVICON = ASSETS / "favicon.svg"
