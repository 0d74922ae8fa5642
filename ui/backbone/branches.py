"""The branches of the backbone tree, as data for its drawing."""

from collections.abc import Sequence
from typing import Any

from tl_core.backbones.tree import TREE
from tl_core.types import Modality
from ui import words
from ui.backbone.entries import ADD, WORDS, Entry
from ui.components.palette import count_text

YOURS = "yours"


def branches(modality: Modality, leaves: Sequence[Entry], own: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return the modalities with their fields and models; the last field holds what a person has added."""
    by_name = {entry.id: entry for entry in leaves}
    drawn: list[dict[str, Any]] = []
    for branch in TREE:
        fields = [
            {
                "id": "/".join(field.path),
                "title": field.title,
                "note": words.plural(len(field.specs), "model"),
                "fits": branch.name == modality,
                "children": [_leaf(by_name[spec.name], modality) for spec in field.specs],
            }
            for field in branch.children
        ]
        mine = [entry for entry in own if (entry.modality or modality) == branch.name]
        if mine or branch.name == modality:
            fields.append(_yours(branch.name, mine, modality))
        fits = branch.name == modality
        drawn.append(
            {
                "id": branch.name,
                "title": branch.title,
                "note": "your data" if fits else "",
                "fits": fits,
                "children": fields,
            }
        )
    return drawn


def legend() -> list[dict[str, str]]:
    """Return every state of a model with its words."""
    return [{"state": state, "word": word} for state, word in WORDS.items() if state != "add"]


def _yours(branch: str, entries: Sequence[Entry], modality: Modality) -> dict[str, Any]:
    add = {"id": ADD, "title": "Another network…", "note": "", "state": "add", "word": WORDS["add"], "fits": True}
    return {
        "id": f"{branch}/{YOURS}",
        "title": "Yours",
        "note": words.plural(len(entries), "model") if entries else "add one",
        "fits": branch == modality,
        "children": [*(_leaf(entry, modality) for entry in entries), *([add] if branch == modality else [])],
    }


def _leaf(entry: Entry, modality: Modality) -> dict[str, Any]:
    spec = entry.spec
    note = count_text(spec.parameters) if spec and spec.parameters else ""
    if entry.state == "coming" or (entry.state == "paused" and entry.share):
        note = f"{entry.share:.0%}"
    return {
        "id": entry.id,
        "title": entry.title,
        "note": note,
        "state": entry.state,
        "word": WORDS[entry.state],
        "share": round(entry.share, 3),
        "fits": entry.modality in (None, modality),
    }
