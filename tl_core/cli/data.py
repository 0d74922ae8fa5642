"""Open what a command line names: a data set, extra data, a backbone."""

from typing import TYPE_CHECKING, Any

from tl_core.advice.defaults import default_backbone
from tl_core.backbones.catalogue import LIBRARIES, find_backbone, register_library, registered
from tl_core.backbones.pair import JOIN
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.cli.console import Console
from tl_core.data.options import AUTO_DETECT, ImportOptions
from tl_core.errors import UsageError
from tl_core.types import PARTS, Modality, dump, noun
from tl_core.workspace import Workspace

if TYPE_CHECKING:
    from tl_core.data.dataset import Dataset
    from tl_core.data.profile import Profile


def open_data(
    source: str, workspace: Workspace, console: Console, options: ImportOptions = AUTO_DETECT, test: str = ""
) -> "Dataset":
    """Import a source, and the test items of another source if `test` names one.

    Raises DataError or UsageError if a source is not a data set.
    """
    from tl_core.data.sources import import_data

    if test:
        from tl_core.data.separate_test_set import import_with_test

        dataset = import_with_test(source, test, workspace, options, console.stage)
    else:
        dataset = import_data(source, workspace, options, progress=console.stage)
    if len(dataset.parts) > 1:
        console.note(
            f"Pictures are named in the column {dataset.path_column!r}, and texts are in {dataset.text_column!r}. To "
            "learn from one of the two alone, name its column: --path-column or --text-column."
        )
    skipped = dataset.receipt.skipped
    if skipped:
        was = "1 item of the source was" if skipped == 1 else f"{skipped:,} items of the source were"
        console.note(f"{was} left out; `profile` lists which and why.")
    return dataset


def print_origins(dataset: "Dataset", console: Console) -> None:
    """Print where labels, texts, splits and groups were read from."""
    for origin in dataset.origins:
        console.line(f"Read: {origin}.")


def origins_json(dataset: "Dataset") -> dict[str, Any]:
    """Return where labels, texts, splits and groups were read from, as an entry of a JSON document."""
    return {"origins": [{**dump(origin), "sentence": str(origin)} for origin in dataset.origins]}


def open_pool(source: str, modality: Modality, workspace: Workspace, console: Console) -> "Dataset":
    """Import items without labels (labels are ignored). Raises DataError if there are none."""
    from tl_core.data.unlabelled import import_unlabelled

    return import_unlabelled(source, modality, workspace, progress=console.stage)


def describe(dataset: "Dataset", spec: BackboneSpec | None = None) -> "Profile":
    """Return the profile, with lengths in the tokens of a text backbone."""
    from tl_core.backbones.reading import profile_for

    return profile_for(dataset, spec or find_backbone(default_backbone(dataset)[0]))


def usable_profile(dataset: "Dataset", spec: BackboneSpec | None = None) -> "Profile":
    """Return the profile. Raises DataError if the data set cannot be trained on."""
    profile = describe(dataset, spec)
    profile.require_usable()
    return profile


def choose_backbone(name: str, dataset: "Dataset") -> BackboneSpec:
    """Return the named backbone, or the default for "" and these data.

    An architecture of timm or torchvision is made ready if it is not yet. Raises UsageError if it does not fit or is
    not ready.
    """
    modality = dataset.modality
    spec = _find(name or default_backbone(dataset)[0])
    ready = _ready(modality)
    if spec.modality != modality:
        raise UsageError(
            f"{spec.name} reads {noun(spec.modality)}, but the data are {noun(modality)}.",
            f"Ready: {', '.join(ready)}.",
        )
    if not spec.ready:
        way = f"Get them: python -m tl_core fetch {spec.name}. Or take one" if spec.weights.name else "Take one"
        raise UsageError(f"The weights of {spec.name} are not on this machine.", f"{way} of these: {', '.join(ready)}.")
    return spec


def _ready(modality: Modality) -> list[str]:
    """Return the names of the backbones that read such items now; for pictures with texts some pairs of them."""
    specs = [spec for spec in (*BACKBONES.values(), *registered()) if spec.ready]
    if modality != "multimodal":
        return [spec.name for spec in specs if spec.modality == modality]
    images, texts = ([spec.name for spec in specs if spec.modality == part] for part in PARTS[modality])
    return [f"{image}{JOIN}{texts[0]}" for image in images] + [f"{images[0]}{JOIN}{text}" for text in texts[1:]]


def _find(name: str) -> BackboneSpec:
    try:
        return find_backbone(name)
    except UsageError:
        if name.partition(":")[0] not in LIBRARIES:
            raise
        return find_backbone(register_library(Workspace.default(), name))
