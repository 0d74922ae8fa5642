"""The terms of the field in plain words, each explained here and nowhere else.

Pages take a tooltip from `tip`, the glossary page shows everything. A definition is one or two plain sentences.
"""

from collections.abc import Mapping

import streamlit as st

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Data": {
        "label": "The answer that belongs to an item, such as “daisy” for a picture. A model learns to give it.",
        "class": "One of the possible labels. In single-label data each item has exactly one.",
        "multi-label": "An item may have several labels at once, or none. Each label is a yes or no of its own.",
        "split": "The division of the items into three parts: training, validation and test.",
        "training items": "The items that the model learns from.",
        "validation items": (
            "Items that the model does not learn from. They decide when to stop and which weights to keep."
        ),
        "test items": (
            "Items that are used for nothing but the final measurement. They show how good the model is on items that "
            "it has never seen."
        ),
        "near-duplicates": (
            "Items that are almost the same. Split between training and test, they make a model look better than it is."
        ),
        "subgroup": (
            "A part of the items that you want results for, such as one region. It can hide behind a good average."
        ),
        "target items": "Items, labelled or not, of the kind that the finished model is used on.",
        "source items": "Labelled items of an earlier task at which the model has to stay good.",
        "zero-shot": (
            "Sorting items by the names of the classes alone, without any labelled item: the backbone says which name "
            "is most like the item. Its answers are guesses, good enough to begin with."
        ),
        "margin": "How far the best class is ahead of the second best, from 0 to 1. A small one means: look at it.",
        "token": (
            "What a text backbone reads: a word or a piece of one. A common word is one token, a rare word several."
        ),
    },
    "The network": {
        "backbone": "A network that has already learned from millions of pictures or texts. Your model builds on it.",
        "head": (
            "The last layer, which turns the backbone's features into your classes. It is always trained from scratch."
        ),
        "transfer learning": (
            "Using what a network learned on one task for another task, instead of starting from nothing."
        ),
        "layer group": "Neighbouring layers of the network that are frozen or trained together.",
        "parameter": "A number inside the network that training can change. All of them together are its weights.",
        "embedding": (
            "The list of numbers (features) that a backbone makes of an item. Similar items get similar numbers."
        ),
        "normalisation statistics": (
            "Averages and spreads that some layers keep of what passes through them. They shift when the items look "
            "unlike those of pre-training."
        ),
        "adapter": "A small trainable layer added to frozen ones. Few parameters have to be trained.",
    },
    "The training": {
        "loss": "How wrong the network is on the items that it learns from. Training makes it smaller.",
        "gradient": "How the loss changes with the weights. Each training step follows it downhill.",
        "drift": "How far weights have moved since the run began, relative to their size.",
        "probe": "One pass of all items through the frozen backbone. The recommendation is based on it.",
        "learning-rate range test": "A short trial that raises the learning rate step by step until training breaks.",
        "from scratch": "The same network, trained on your data without any earlier knowledge.",
    },
    "The plan": {
        "phase": "A stage of the training in which certain layer groups learn and the others are frozen.",
        "freeze": "To keep a layer group exactly as it is. A frozen group does not learn.",
        "feature extraction": (
            "The whole backbone stays frozen and only a new head learns. Fast, and safe with few items."
        ),
        "fine-tuning": "Training the backbone, or part of it, together with the new head.",
        "LP-FT": "Linear probing, then fine-tuning: first the head learns alone, then the backbone learns too.",
        "discriminative learning rates": (
            "Layers near the input learn more slowly than layers near the head, because their features are more "
            "general."
        ),
        "epoch": "One pass over all training items.",
        "learning rate": (
            "How large each training step is. Too large, and the network forgets or diverges; too small, and it "
            "hardly learns."
        ),
        "schedule": "How the learning rate changes during a phase.",
        "warm-up": "The first part of a phase, in which the learning rate rises slowly to its full value.",
        "patience": (
            "How many epochs without a better validation result are allowed before a phase ends (early stopping)."
        ),
        "weight decay": "A pull of all trained weights towards zero. It makes overfitting less likely.",
        "penalty": "A term added to the loss, for example to keep the weights near the pre-trained ones.",
        "augmentation": "Random changes to training pictures, such as flips and crops. The network sees more variety.",
        "teacher": "A finished model whose predictions the new model learns to imitate (distillation).",
        "seed": "The number that random choices start from. The same seed on the same computer gives the same result.",
    },
    "The results": {
        "accuracy": "The share of right answers.",
        "precision": "Of the items that the model gives this label, the share that really have it.",
        "recall": "Of the items that really have this label, the share that the model finds.",
        "F1": "Precision and recall in one number: their harmonic mean, which lies near the lower of the two.",
        "macro-F1": "The average of F1 over all classes. Each class counts the same, however rare it is.",
        "micro-F1": "F1 over all answers together, so frequent labels count more.",
        "AUC": "How often an item with the label gets a higher probability than an item without it. 50% is guessing.",
        "baseline": "A simpler model, measured on the same items, to compare with.",
        "confusion matrix": (
            "A table of true class against predicted class. It shows which classes are mistaken for which."
        ),
        "confidence interval": (
            "The range that holds the true value in 95 of 100 such measurements. More items make it narrower."
        ),
        "confidence": "The probability that the model gives to its own answer.",
        "calibration": ("How well confidence matches reality: of answers given with 80%, about 80% should be right."),
        "transfer gain": (
            "How much better the model is than the same network trained from scratch, on the same test items."
        ),
        "data-efficiency curve": (
            "The score for different numbers of labelled training items. It shows what more labels would bring."
        ),
        "cross-validation": "Each item is judged by a model that did not learn from it: the items take turns.",
    },
}
TERMS: Mapping[str, str] = {term: text for terms in SECTIONS.values() for term, text in terms.items()}


def tip(*terms: str, note: str = "") -> str:
    """Return a tooltip: what the terms mean, then `note`, which may add what holds for this place only.

    Raises KeyError for a term that is not in the glossary.
    """
    meanings = [TERMS[terms[0]]] if len(terms) == 1 else [f"**{name(term)}**: {TERMS[term]}" for term in terms]
    return "\n\n".join([*meanings, *([note] if note else [])])


def name(term: str) -> str:
    """Return a term with a capital letter at its beginning."""
    return term[:1].upper() + term[1:]


def tip_for(label: str, note: str | None = None) -> str | None:
    """Return the tooltip of a form field: the meaning of the term that its label begins with, if any, and its note."""
    terms = [term for term in TERMS if label.lower().startswith(term.lower())]
    return tip(max(terms, key=len), note=note or "") if terms else note


def draw() -> None:
    """Draw the whole glossary."""
    columns = st.columns(2, gap="large")
    for title, terms in SECTIONS.items():
        with columns[title in ("The plan", "The results")]:  # about as many terms as the others
            st.subheader(title, anchor=False)
            for term in sorted(terms, key=str.lower):
                st.markdown(f"**{name(term)}**  \n{terms[term]}")
