"""Backbones that are described but not packaged, with the facts that their authors state.

Parameters are counted from the public configuration, of networks for pictures and texts in the part for pictures.
0 means that the number is not known.
"""

from dataclasses import dataclass, replace

from tl_core.backbones.architectures import RECIPES
from tl_core.backbones.provenance import TEXT
from tl_core.backbones.spec import BACKBONES, BackboneSpec, Weights
from tl_core.types import Modality

UNSTATED = "not stated on its card: ask its authors"


@dataclass(frozen=True)
class _Card:
    name: str
    title: str
    place: tuple[str, ...]
    summary: str
    size: tuple[int, int]  # parameters, bytes of the weights
    licence: str
    hub: str = ""
    source: str = ""
    access: str = ""
    texts: tuple[str, int] = ("", 0)
    """What the part for texts is, and its parameters; of networks for pictures and texts alone."""


_SEVEN_BILLION = (
    "The part for texts takes 53 GB of memory to be checked, 26 GB with LoRA and 106 GB to train all of it."
)

CARDS = (
    _Card(
        "resnet50",
        "ResNet-50",
        ("image", "general"),
        "The classic: robust, well understood, and a good point of comparison. Trained on ImageNet.",
        size=(25_557_032, 102_000_000),
        licence="Apache-2.0",
        hub="timm/resnet50.a1_in1k",
    ),
    _Card(
        "efficientnet_b0",
        "EfficientNet-B0",
        ("image", "general"),
        "The full-size relative of EfficientNet-Lite0, with squeeze-and-excitation. Trained on ImageNet.",
        size=(5_288_548, 21_000_000),
        licence="Apache-2.0",
        hub="timm/efficientnet_b0.ra_in1k",
    ),
    _Card(
        "convnext_tiny",
        "ConvNeXt-Tiny",
        ("image", "general"),
        "A convolutional network built with the lessons of vision transformers. Trained on ImageNet.",
        size=(28_589_128, 114_000_000),
        licence="Apache-2.0",
        hub="timm/convnext_tiny.fb_in1k",
    ),
    _Card(
        "vit_b16",
        "ViT-B/16",
        ("image", "general"),
        "A vision transformer: strong features, but slow without a graphics card. Trained on ImageNet-21k.",
        size=(86_567_656, 346_000_000),
        licence="Apache-2.0",
        hub="timm/vit_base_patch16_224.augreg2_in21k_ft_in1k",
    ),
    _Card(
        "rad_dino",
        "RAD-DINO",
        ("image", "medical"),
        "Chest X-rays without labels: DINOv2 continued on them. For research, not for clinical practice.",
        size=(86_580_480, 346_000_000),
        licence="MIT",
        hub="microsoft/rad-dino",
    ),
    _Card(
        "biovil_t",
        "BioViL-T",
        ("image", "medical"),
        "Chest X-rays with their reports, one at a time: what compares one with an earlier one is left out.",
        size=(23_508_032, 0),
        licence="MIT",
        hub="microsoft/BiomedVLP-BioViL-T",
        texts=("The BERT that learned with it, from reports (CXR-BERT).", 109_482_240),
    ),
    _Card(
        "medclip",
        "MedCLIP",
        ("image", "medical"),
        "Medical images and texts that need not come in pairs: a Swin-T for chest X-rays, and their findings.",
        size=(27_519_354, 0),
        licence="MIT",
        source="https://github.com/RyanWangZf/MedCLIP",
        texts=("The clinical BERT that learned with it, from findings.", 108_310_272),
        access="Get its weights from https://github.com/RyanWangZf/MedCLIP: medclip-vit-pretrained.zip. For texts, "
        "unpack it, put the vocab.txt of emilyalsentzer/Bio_ClinicalBERT beside them, and give the folder.",
    ),
    _Card(
        "satmae",
        "SatMAE",
        ("image", "satellite"),
        "A masked autoencoder (ViT-L) for satellite images in colour. Those over time or spectral bands are not read.",
        size=(303_301_632, 0),
        licence=UNSTATED,
        source="https://github.com/sustainlab-group/SatMAE",
        access="Get its weights from https://github.com/sustainlab-group/SatMAE: those trained on single pictures in "
        "colour (fMoW RGB).",
    ),
    _Card(
        "prithvi_eo2",
        "Prithvi-EO-2.0-300M-TL",
        ("image", "satellite"),
        "NASA's and IBM's model of the Earth's surface (ViT-L). A picture fills red, green and blue of its six bands.",
        size=(303_301_632, 0),
        licence="Apache-2.0",
        hub="ibm-nasa-geospatial/Prithvi-EO-2.0-300M-TL",
    ),
    _Card(
        "cellvit",
        "CellViT-256",
        ("image", "microscopy"),
        "The encoder (ViT-S) of a network that finds and classifies cell nuclei in stained tissue.",
        size=(21_688_704, 0),
        licence="Apache-2.0 with Commons Clause (not for sale)",
        source="https://github.com/TIO-IKIM/CellViT",
        access="Get its weights from https://github.com/TIO-IKIM/CellViT: CellViT-256-x20.pth or CellViT-256-x40.pth.",
    ),
    _Card(
        "bioclip",
        "BioCLIP",
        ("image", "microscopy"),
        "A CLIP of the tree of life: 10 million images of more than 450,000 kinds of organisms.",
        size=(85_799_424, 598_000_000),
        licence="MIT",
        hub="imageomics/bioclip",
        texts=("Names and descriptions of organisms: the part for texts of BioCLIP.", 63_165_952),
    ),
    _Card(
        "bert",
        "BERT-base",
        ("text", "general"),
        "The encoder that most others descend from. English, without capitals.",
        size=(109_482_240, 440_000_000),
        licence="Apache-2.0",
        hub="google-bert/bert-base-uncased",
    ),
    _Card(
        "roberta",
        "RoBERTa-base",
        ("text", "general"),
        "BERT trained longer and on more text; often a little better.",
        size=(124_645_632, 501_000_000),
        licence="MIT",
        hub="FacebookAI/roberta-base",
    ),
    _Card(
        "deberta_v3",
        "DeBERTa-v3-base",
        ("text", "general"),
        "Among the most accurate encoders of its size, and slower than BERT.",
        size=(183_831_552, 371_000_000),
        licence="MIT",
        hub="microsoft/deberta-v3-base",
    ),
    _Card(
        "llama32_1b",
        "Llama 3.2 1B",
        ("text", "general"),
        "The smallest decoder of its generation of Llama, read at the last token. To train all of it takes about 20 GB "
        "of memory, with LoRA about 5 GB.",
        size=(1_235_814_400, 2_470_000_000),
        licence="Llama 3.2 Community License",
        hub="meta-llama/Llama-3.2-1B",
        access="Its authors ask you to sign in to the hub and accept their licence first.",
    ),
    _Card(
        "scibert",
        "SciBERT",
        ("text", "scientific"),
        "BERT trained on scientific papers, with a vocabulary of its own.",
        size=(109_918_464, 440_000_000),
        licence=UNSTATED,
        hub="allenai/scibert_scivocab_uncased",
    ),
    _Card(
        "biomedbert",
        "BiomedBERT",
        ("text", "scientific"),
        "BERT trained from the start on biomedical abstracts and full texts (formerly PubMedBERT).",
        size=(109_482_240, 440_000_000),
        licence="MIT",
        hub="microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract-fulltext",
    ),
    _Card(
        "legalbert",
        "LEGAL-BERT",
        ("text", "legal"),
        "BERT trained on English legislation, court cases and contracts.",
        size=(109_482_240, 440_000_000),
        licence="CC-BY-SA-4.0",
        hub="nlpaueb/legal-bert-base-uncased",
    ),
    _Card(
        "codebert",
        "CodeBERT",
        ("text", "code"),
        "RoBERTa trained on functions in six programming languages and their descriptions.",
        size=(124_645_632, 499_000_000),
        licence=UNSTATED,
        hub="microsoft/codebert-base",
    ),
    _Card(
        "starcoder2_3b",
        "StarCoder2-3B",
        ("text", "code"),
        "A decoder trained on public code in many languages, read at the last token. To train all of it takes about "
        "48 GB of memory, with LoRA about 12 GB.",
        size=(3_030_371_328, 12_100_000_000),
        licence="BigCode OpenRAIL-M",
        hub="bigcode/starcoder2-3b",
    ),
    _Card(
        "clip_b32",
        "CLIP ViT-B/32",
        ("multimodal", "general"),
        "Pictures and captions in one space: compares any picture with any sentence.",
        size=(87_456_000, 605_000_000),
        licence=UNSTATED,
        hub="openai/clip-vit-base-patch32",
        texts=("Captions: the part for texts of CLIP, in one space with its pictures.", 63_165_952),
    ),
    _Card(
        "siglip_b16",
        "SigLIP ViT-B/16",
        ("multimodal", "general"),
        "Pictures and captions like CLIP, each pair judged by itself (a sigmoid in place of a softmax).",
        size=(92_884_224, 813_000_000),
        licence="Apache-2.0",
        hub="google/siglip-base-patch16-224",
        texts=("Captions: the part for texts of SigLIP, in one space with its pictures.", 110_271_744),
    ),
    _Card(
        "idefics_9b",
        "IDEFICS-9B",
        ("multimodal", "general"),
        "An open rebuild of Flamingo, whose own weights were not released: the CLIP ViT-H/14 that it sees with.",
        size=(630_766_080, 0),
        licence="that of LLaMA (not for sale), the rest MIT",
        hub="HuggingFaceM4/idefics-9b",
        access=_SEVEN_BILLION,
        texts=(
            "The language model inside of IDEFICS (LLaMA-7B), without the layers that look at pictures.",
            6_607_343_616,
        ),
    ),
    _Card(
        "flamingo_3b",
        "Flamingo (OpenFlamingo-3B)",
        ("multimodal", "general"),
        "An open rebuild of Flamingo: only the layers between a CLIP and a language model, which no library builds.",
        size=(3_000_000_000, 4_190_000_000),
        licence=UNSTATED,
        hub="openflamingo/OpenFlamingo-3B-vitl-mpt1b",
        access="It cannot be used by itself; idefics_9b is an open rebuild that can.",
    ),
    _Card(
        "llava_15_7b",
        "LLaVA-1.5-7B",
        ("multimodal", "general"),
        "The eyes of a language model that sees: the CLIP ViT-L/14 at 336 pixels that LLaVA looks through.",
        size=(303_507_456, 14_100_000_000),
        licence="Llama 2 Community License",
        hub="llava-hf/llava-1.5-7b-hf",
        texts=("The language model of LLaVA (Vicuna-7B).", 6_607_605_760),
        access=_SEVEN_BILLION,
    ),
)


def _spec(card: _Card) -> BackboneSpec:
    modality: Modality = "text" if card.place[0] == "text" else "image"
    return BackboneSpec(
        name=card.name,
        title=card.title,
        modality=modality,
        place=card.place,
        summary=card.summary,
        parameters=card.size[0],
        licence=card.licence,
        source=card.source or f"https://huggingface.co/{card.hub}",
        weights=Weights("hub" if card.hub else "file", card.hub, card.size[1]),
        access=card.access,
        recipe=RECIPES.get(card.name),
    )


for _card in CARDS:
    _pictures = BACKBONES.add(_spec(_card))
    if _card.texts[0]:
        BACKBONES.add(
            replace(
                _pictures,
                name=_card.name + TEXT,
                title=f"{_card.title}, texts",
                modality="text",
                place=_card.place if _card.place[0] == "multimodal" else ("text", "scientific"),
                summary=_card.texts[0],
                parameters=_card.texts[1],
                recipe=RECIPES[_card.name + TEXT],
            )
        )
