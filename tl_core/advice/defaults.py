"""The backbone to begin with."""

from tl_core.backbones.pair import JOIN
from tl_core.data.dataset import Dataset
from tl_core.data.language_id import mostly_english
from tl_core.plan import Reason
from tl_core.types import Part

IMAGE = Reason(
    "EfficientNet-Lite0 is the quickest image backbone at hand, and trained on 1.2 million photographs.",
    "https://arxiv.org/abs/1905.11946",
)
ENGLISH = Reason(
    "MiniLM is small and quick, and was trained to bring English sentences of similar meaning together.",
    "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
)
OTHER_LANGUAGES = Reason(
    "multilingual-e5-small reads about 100 languages. On seven small sets of texts in six languages other than "
    "English a head on it was 8 to 37 points more accurate than on MiniLM, at about four times the time.",
    "Measured by this project, docs/LOG.md, 2026-11-30; https://arxiv.org/abs/2402.05672",
)


def default_backbone(dataset: Dataset) -> tuple[str, Reason]:
    """Return the backbone to begin with for a data set, and why; a pair of them for pictures with texts."""
    chosen = [_default(part, dataset) for part in dataset.parts]
    reasons = [why for _, why in chosen]
    why = Reason(" ".join(reason.text for reason in reasons), "; ".join(reason.source for reason in reasons))
    return JOIN.join(name for name, _ in chosen), why


def _default(part: Part, dataset: Dataset) -> tuple[str, Reason]:
    if part == "image":
        return "efficientnet_lite0", IMAGE
    if mostly_english(dataset):
        return "all_minilm_l6_v2", ENGLISH
    return "multilingual_e5_small", OTHER_LANGUAGES
