"""Poor pictures: blank, blurry, dark, washed out, or of an unusual shape or size."""

from dataclasses import dataclass

import numpy as np

from tl_core.data.decisions import Decision
from tl_core.data.quality.checks import CHECKS, Check, CheckInput, Suspicion
from tl_core.data.quality.phrasing import count
from tl_core.data.quality.robust_z import robust_z
from tl_core.types import Finding

BLANK = 0.012
"""Contrast below which a picture counts as blank: three of 255 shades."""
BLURRY = 100.0
"""Variance of the Laplacian (of luma 0 to 255) above which a picture always counts as sharp."""
DARK, WASHED_OUT = 0.25, 0.85
"""Bounds where nearly every pixel is dark or light: on brightness + 2 deviations, and on brightness - 2 deviations."""
ODD = 4.0
"""Robust deviations from the rest of the data set from which a picture counts as odd."""
_TIMES_LESS = 8.0  # less sharp detail, relative to contrast, than the median picture
_SMALLEST = 48  # pixels of the shorter side, below which sharpness cannot be judged
_MANY = 0.2  # share of a data set from which a property is normal for it, not odd


def find(check_input: CheckInput) -> list[Suspicion]:
    """Return pictures that teach a model little, one suspicion per kind."""
    assert check_input.picture_stats is not None
    brightness, contrast, sharpness, _ = check_input.picture_stats.T.astype(np.float64)
    inside = check_input.inside & np.isfinite(brightness)
    blank = inside & (contrast < BLANK)
    rest = inside & ~blank
    low, high = brightness - 2 * contrast, brightness + 2 * contrast
    dark = rest & (high < DARK) & (robust_z(np.log(high + 0.01), rest, 0.05) < -ODD)
    washed = rest & (low > WASHED_OUT) & (robust_z(low, rest, 0.02) > ODD)
    blurred, detail = _blurry(check_input, contrast, sharpness, rest)
    suspicions = [
        _suspicion(check_input, "blank", blank, contrast),
        _suspicion(check_input, "blurry", blurred, detail),
        _suspicion(check_input, "dark", dark, high),
        _suspicion(check_input, "washed-out", washed, -low),
    ]
    return [suspicion for suspicion in suspicions if suspicion] + _shapes(check_input)


def _blurry(
    check_input: CheckInput, contrast: np.ndarray, sharpness: np.ndarray, rest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which pictures are blurred `[N]`, and their detail `[N]`: the log of sharpness over squared contrast.

    Contrast is divided out because the Laplacian of a dark or faint picture is small even where it is sharp.
    """
    detail = np.log(sharpness / (255 * contrast + 1) ** 2 + 1e-9)
    items = check_input.dataset.items
    if "width" in items and "height" in items:
        rest = rest & (items[["width", "height"]].min(axis=1).to_numpy() >= _SMALLEST)
    if not rest.any():
        return rest, detail
    little_detail = detail < np.median(detail[rest]) - np.log(_TIMES_LESS)
    return rest & little_detail & (sharpness < BLURRY) & (robust_z(detail, rest, 0.1) < -ODD), detail


@dataclass(frozen=True)
class _Words:
    """The message about one picture and about many, how certain it is, and what to do."""

    one: str
    many: str
    certainty: str
    hint: str


_LOOK = "Look at them. Drop those whose class you could not tell yourself"
_WORDS = {
    "blank": _Words(
        "shows one plain shade, or nearly",
        "show one plain shade, or nearly",
        "This was measured, so it is certain.",
        "A model learns nothing useful from them: drop them, unless an empty picture is one of your classes.",
    ),
    "blurry": _Words(
        "looks blurred",
        "look blurred",
        "They have at least eight times less fine detail than most of your pictures; soft scenes, such as fog or a "
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


def _suspicion(check_input: CheckInput, code: str, which: np.ndarray, order: np.ndarray) -> Suspicion | None:
    """Return one kind as a suspicion, rows by rising `order`; None where there are none, or too many to be odd."""
    rows = np.flatnonzero(which & check_input.open(code))
    if not len(rows) or (code != "blank" and len(rows) > _MANY * check_input.inside.sum()):
        return None
    rows = rows[np.argsort(order[rows], kind="stable")]
    words = _WORDS[code]
    message = f"{count(len(rows), f'picture {words.one}', f'pictures {words.many}')}. {words.certainty}"
    finding = Finding("warn" if code == "blank" else "info", code, message, words.hint, check_input.ids(rows))
    chosen = tuple(sorted(rows[~check_input.tested[rows]].tolist()))
    proposed = (Decision("drop", chosen, code=code),) if chosen else ()
    return Suspicion(finding, tuple(rows.tolist()), scores=_ranked(len(rows)), proposed=proposed)


def _ranked(n: int) -> tuple[float, ...]:
    """Return falling scores for rows that are already in order."""
    return tuple(round(1 - place / n, 6) for place in range(n))


def _shapes(check_input: CheckInput) -> list[Suspicion]:
    """Return pictures of an odd shape, or far smaller than the rest. Nothing is proposed for them."""
    items = check_input.dataset.items
    if not {"width", "height"} <= set(items):
        return []
    width, height = items["width"].to_numpy(dtype=np.float64), items["height"].to_numpy(dtype=np.float64)
    inside, n = check_input.inside, check_input.inside.sum()
    suspicions = []
    aspect = np.log(width / height)
    stretch = np.abs(aspect - np.median(aspect[inside]))
    odd = np.flatnonzero(
        check_input.open("odd-shape") & (stretch > np.log(2.5)) & (np.abs(robust_z(aspect, inside, 0.1)) > ODD)
    )
    if 0 < len(odd) <= _MANY * n:
        message = (
            f"{count(len(odd), 'picture has', 'pictures have')} a shape unlike the others, much wider or much taller."
        )
        hint = "A model sees every picture as a square: check that these are complete, and drop what is not a picture."
        suspicions.append(_without_proposal(check_input, "odd-shape", odd[np.argsort(-stretch[odd])], message, hint))
    short = np.minimum(width, height)
    typical = np.median(short[inside])
    tiny = np.flatnonzero(check_input.open("tiny") & (short < typical / 4) & (short < 100))
    if 0 < len(tiny) <= _MANY * n:
        message = (
            f"{count(len(tiny), 'picture is', 'pictures are')} tiny, under a quarter of the usual "
            f"{typical:,.0f} pixels on the shorter side."
        )
        hint = "Thumbnails and icons look like that: look at them, and drop those that you did not mean to collect."
        suspicions.append(_without_proposal(check_input, "tiny", tiny[np.argsort(short[tiny])], message, hint))
    return suspicions


def _without_proposal(check_input: CheckInput, code: str, rows: np.ndarray, message: str, hint: str) -> Suspicion:
    finding = Finding("info", code, message, hint, check_input.ids(rows))
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
