"""Which backbones can compare the items of a data set with names of classes."""

from tl_core.backbones.catalogue import registered
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.errors import DataError
from tl_core.workspace import Workspace


def readers(dataset: Dataset, workspace: Workspace) -> tuple[BackboneSpec, ...]:
    """Return the backbones that can, and are on this machine; those of the registry first.

    Raises DataError where none can, because the items are not texts.
    """
    if dataset.modality != "text":
        raise DataError(
            "Pictures cannot be compared with names of classes here: no backbone on this machine reads pictures and "
            "texts alike.",
            "Sort some of the pictures into folders by hand, one for each class.",
        )
    return tuple(
        spec for spec in (*BACKBONES.values(), *registered(workspace)) if spec.ready and spec.modality == "text"
    )
