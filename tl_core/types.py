"""Values that every stage uses, and their way to JSON and back."""

from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_type_hints

from pydantic import AliasChoices, Field, TypeAdapter

Part = Literal["image", "text"]
"""What an item may consist of."""
Modality = Literal["image", "text", "multimodal"]
"""What every item of a data set is: a picture, a text, or a picture with a text."""
PARTS: dict[Modality, tuple[Part, ...]] = {"image": ("image",), "text": ("text",), "multimodal": ("image", "text")}
Level = Literal["info", "warn", "stop"]
Similarity = Literal["similar", "different", "very different", "not measured"]
Metric = Literal["accuracy", "mean AUC"]
WorkDone = tuple[str, int, int]
"""What is being done, items done, items in all."""
T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """One message to a person: what was found, and what to do about it. Level "stop" blocks the next step."""

    level: Level
    code: str
    message: str
    hint: str = ""
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval from `low` to `high`; `n` counts the items that it rests on."""

    value: float
    low: float
    high: float
    n: int
    method: str


def noun(modality: Modality, count: int = 2) -> str:
    """Return what `count` items of a modality are called in a sentence: "image", "texts", "pictures with texts"."""
    one = "picture with text" if modality == "multimodal" else modality
    return one if count == 1 else one.replace("picture ", "pictures ") + "s"


def metric(multilabel: bool) -> Metric:
    """Return what a model is judged by: accuracy, or the mean AUC over the labels where an item may have several."""
    return "mean AUC" if multilabel else "accuracy"


def also_called(name: str, *earlier: str) -> Any:
    """Return the annotation of a dataclass field that saved files may hold under an earlier name.

    `field: Annotated[bool, also_called("field", "old")]` reads both keys and writes the new one.
    """
    return Field(validation_alias=AliasChoices(name, *earlier))


def earlier_names(cls: Any) -> dict[str, str]:
    """Map every earlier name of a field to its present name."""
    return {
        str(earlier): name
        for name, hint in get_type_hints(cls, include_extras=True).items()
        for note in getattr(hint, "__metadata__", ())
        if isinstance(alias := getattr(note, "validation_alias", None), AliasChoices)
        for earlier in alias.choices[1:]
    }


_adapters: dict[Any, TypeAdapter] = {}


def _adapter(cls: Any) -> TypeAdapter:
    if cls not in _adapters:  # building one costs milliseconds, and a log holds thousands of values
        _adapters[cls] = TypeAdapter(cls)
    return _adapters[cls]


def dump(value: Any) -> Any:
    """Return a dataclass value as plain JSON types."""
    return _adapter(type(value)).dump_python(value, mode="json")


def load(cls: type[T], data: Any) -> T:
    """Rebuild a value of `cls` from plain JSON types. Raises pydantic.ValidationError where they do not fit."""
    return _adapter(cls).validate_python(data)
