"""The modality tree: from the kind of data to the backbones that were trained on such data."""

from collections.abc import Iterator
from dataclasses import dataclass

from tl_core.backbones.spec import BACKBONES, BackboneSpec


@dataclass(frozen=True)
class Node:
    """One place in the tree. `path` leads to it from the root; `specs` are the backbones directly in it."""

    path: tuple[str, ...]
    title: str
    summary: str
    children: tuple["Node", ...] = ()
    specs: tuple[BackboneSpec, ...] = ()

    @property
    def name(self) -> str:
        """The last step of the path."""
        return self.path[-1]

    def walk(self) -> Iterator["Node"]:
        """Yield this node and everything below it, in display order."""
        yield self
        for child in self.children:
            yield from child.walk()


PLACES: dict[tuple[str, ...], tuple[str, str]] = {
    ("image",): ("Pictures", "Photographs, scans and drawings."),
    ("image", "general"): ("Everyday pictures", "Trained on photographs of things, animals and scenes."),
    ("image", "medical"): ("Medical images", "Trained on X-rays and their reports."),
    ("image", "satellite"): (
        "Satellite images",
        "Trained on views of the Earth from above, some beyond visible light.",
    ),
    ("image", "microscopy"): (
        "Microscopy and organisms",
        "Trained on tissue under the microscope, and on living things.",
    ),
    ("text",): ("Texts", "Sentences, paragraphs and documents."),
    ("text", "general"): ("Everyday texts", "Trained on books, encyclopaedias and the web."),
    ("text", "scientific"): ("Scientific texts", "Trained on papers and clinical reports."),
    ("text", "legal"): ("Legal texts", "Trained on laws, court cases and contracts."),
    ("text", "code"): ("Program code", "Trained on programs and what is written about them."),
    ("multimodal",): ("Pictures with texts", "Trained on pictures and words together."),
    ("multimodal", "general"): ("Pictures with texts", "Trained on pictures from the web and their captions."),
}
"""Every place with its title and a line about it, in display order."""


def tree() -> tuple[Node, ...]:
    """Build the branches of the tree from the registered backbones; in each place the ready ones come first.

    Raises ValueError where a backbone names a place that is not in PLACES.
    """
    if lost := [spec.name for spec in BACKBONES.values() if spec.place not in PLACES]:
        raise ValueError(f"no such place in the modality tree: {', '.join(lost)}")
    return tuple(_node(path) for path in PLACES if len(path) == 1)


def _node(path: tuple[str, ...]) -> Node:
    title, summary = PLACES[path]
    children = tuple(_node(below) for below in PLACES if below[:-1] == path)
    specs = sorted((s for s in BACKBONES.values() if s.place == path), key=lambda spec: not spec.ready)
    return Node(path, title, summary, children, tuple(specs))


TREE = tree()
"""The tree as the registered backbones make it."""
