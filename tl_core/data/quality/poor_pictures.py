"""Pictures that show little: blank, blurry, dark, washed out, or of a strange shape or size."""

from dataclasses import dataclass

import numpy as np

from tl_core.data.decisions import Decision
from tl_core.data.quality.checks import CHECKS, Check, CheckInput, Suspicion
from tl_core.data.quality.phrasing import count
from tl_core.data.quality.robust_z import robust_z
from tl_core.types import Finding

BLANK = 0.012
"""Contrast below which there is nothing to see: three of 255 shades."""
BLURRY = 100.0
"""Variance of the Laplacian (of luma 0 to 255) above which a picture counts as sharp, whatever the others are like."""
DARK, WASHED_OUT = 0.25, 0.85
"""Bounds on brightness + 2 deviations, and on brightness - 2 deviations: where nearly every pixel is dark, or light."""
ODD = 4.0
"""Robust deviations from the rest of the data set from which something counts as odd."""
_TIMES_LESS = 8.0  # sharp detail, relative to contrast, below the median of the data set
_SMALLEST = 48  # pixels of the shorter side; below, a picture has no detail to be sharp or not
_MANY = 0.2  # share of a data set from which something is its nature


def find(material: CheckInput) -> list[Suspicion]:
    """Return pictures that can teach little, each kind as one suspicion."""
    assert material.picture_stats is not None
    brightness, contrast, sharpness, _ = material.picture_stats.T.astype(np.float64)
    inside = material.inside & np.isfinite(brightness)
    blank = inside & (contrast < BLANK)
    rest = inside & ~blank
    light, faint = brightness - 2 * contrast, brightness + 2 * contrast
    dark = rest & (faint < DARK) & (robust_z(np.log(faint + 0.01), rest, 0.05) < -ODD)
    washed = rest & (light > WASHED_OUT) & (robust_z(light, rest, 0.02) > ODD)
    blurred, detail = _blurry(material, contrast, sharpness, rest)
    found = [
        _tell(material, "blank", blank, contrast),
        _tell(material, "blurry", blurred, detail),
        _tell(material, "dark", dark, faint),
        _tell(material, "washed-out", washed, -light),
    ]
    return [one for one in found if one] + _shapes(material)


def _blurry(
    material: CheckInput, contrast: np.ndarray, sharpness: np.ndarray, rest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which pictures are blurred `[N]`, and their detail: sharpness over squared contrast.

    Contrast is divided out because the Laplacian of a dark or faint picture is small however sharp it is.
    """
    detail = np.log(sharpness / (255 * contrast + 1) ** 2 + 1e-9)
    items = material.dataset.items
    if "width" in items and "height" in items:
        rest = rest & (items[["width", "height"]].min(axis=1).to_numpy() >= _SMALLEST)
    if not rest.any():
        return rest, detail
    few = detail < np.median(detail[rest]) - np.log(_TIMES_LESS)
    return rest & few & (sharpness < BLURRY) & (robust_z(detail, rest, 0.1) < -ODD), detail


@dataclass(frozen=True)
class _Words:
    """What is said of one picture and of many, how sure it is, and what to do."""

    one: str
    many: str
    how: str
    hint: str


_LOOK = "Look at them. Drop those on which you could not tell the class yourself"
_WORDS = {
    "blank": _Words(
        "shows one plain shade, or nearly",
        "show one plain shade, or nearly",
        "That was measured, and is sure.",
        "A model can only learn from them by mistake: drop them, unless an empty picture is one of your classes.",
    ),
    "blurry": _Words(
        "looks blurred",
        "look blurred",
        "That is at least eight times less fine detail than most of your pictures have; soft scenes, such as fog or a "
        "plain wall, can look the same.",
        f"{_LOOK}; keep them if the pictures that the model will see later are like that too.",
    ),
    "dark": _Words(
        "is so dark that little can be seen",
        "are so dark that little can be seen",
        "Most of your pictures are far lighter.",
        f"{_LOOK}.",
    ),
    "washed-out": _Words(
        "is so light that little can be seen",
        "are so light that little can be seen",
        "Most of your pictures are far darker.",
        f"{_LOOK}.",
    ),
}


def _tell(material: CheckInput, code: str, which: np.ndarray, order: np.ndarray) -> Suspicion | None:
    """Return one kind as a suspicion, the rows by rising `order`; None where there are none, or too many to be odd."""
    rows = np.flatnonzero(which & material.open(code))
    if not len(rows) or (code != "blank" and len(rows) > _MANY * material.inside.sum()):
        return None
    rows = rows[np.argsort(order[rows], kind="stable")]
    words = _WORDS[code]
    message = f"{count(len(rows), f'picture {words.one}', f'pictures {words.many}')}. {words.how}"
    finding = Finding("warn" if code == "blank" else "info", code, message, words.hint, material.name(rows))
    chosen = tuple(sorted(rows[~material.tested[rows]].tolist()))
    proposed = (Decision("drop", chosen, code=code),) if chosen else ()
    return Suspicion(finding, tuple(rows.tolist()), scores=_ranked(len(rows)), proposed=proposed)


def _ranked(n: int) -> tuple[float, ...]:
    """Return falling scores for rows in order."""
    return tuple(round(1 - place / n, 6) for place in range(n))


def _shapes(material: CheckInput) -> list[Suspicion]:
    """Return pictures of an odd shape, or far smaller than the rest; nothing is proposed for them."""
    items = material.dataset.items
    if not {"width", "height"} <= set(items):
        return []
    width, height = items["width"].to_numpy(dtype=np.float64), items["height"].to_numpy(dtype=np.float64)
    inside, n = material.inside, material.inside.sum()
    found = []
    aspect = np.log(width / height)
    stretch = np.abs(aspect - np.median(aspect[inside]))
    odd = np.flatnonzero(
        material.open("odd-shape") & (stretch > np.log(2.5)) & (np.abs(robust_z(aspect, inside, 0.1)) > ODD)
    )
    if 0 < len(odd) <= _MANY * n:
        message = (
            f"{count(len(odd), 'picture has', 'pictures have')} a shape unlike the others, much wider or much taller."
        )
        hint = "A model sees every picture as a square: look whether these are whole, and drop what is not a picture."
        found.append(_plain(material, "odd-shape", odd[np.argsort(-stretch[odd])], message, hint))
    short = np.minimum(width, height)
    typical = np.median(short[inside])
    tiny = np.flatnonzero(material.open("tiny") & (short < typical / 4) & (short < 100))
    if 0 < len(tiny) <= _MANY * n:
        message = (
            f"{count(len(tiny), 'picture is', 'pictures are')} tiny, under a quarter of the usual "
            f"{typical:,.0f} pixels on the shorter side."
        )
        hint = "Thumbnails and icons look like that: have a look, and drop what is not what you collected."
        found.append(_plain(material, "tiny", tiny[np.argsort(short[tiny])], message, hint))
    return found


def _plain(material: CheckInput, code: str, rows: np.ndarray, message: str, hint: str) -> Suspicion:
    finding = Finding("info", code, message, hint, material.name(rows))
    return Suspicion(finding, tuple(rows.tolist()), scores=_ranked(len(rows)))


CHECKS.add(
    Check(
        name="pictures",
        title="Blank, blurry, dark, light, odd or tiny pictures",
        find=find,
        rank=40,
        needs=("picture_stats",),
        modality="image",
    )
)
