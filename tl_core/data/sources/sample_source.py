"""A ready data set that comes with Graft, by name: `sample:digits`."""

from tl_core.data.dataset import Dataset
from tl_core.data.options import ImportOptions, OnProgress
from tl_core.data.samples import SAMPLES
from tl_core.data.sources.source import Source
from tl_core.data.sources.store import Draft, store
from tl_core.workspace import Limits, Workspace

SAMPLE_PREFIX = "sample:"


def _takes(source: str) -> bool:
    return source.startswith(SAMPLE_PREFIX)


def _preview(source: str, options: ImportOptions, limits: Limits) -> None:
    return None  # nothing about a sample is left to choose


def _load(source: str, workspace: Workspace, options: ImportOptions, progress: OnProgress) -> Dataset:
    sample = SAMPLES[source.removeprefix(SAMPLE_PREFIX)]
    return store(sample.items(), Draft(options.name or sample.name, source, sample.modality), workspace, progress)


SAMPLE = Source("a sample", _takes, _preview, _load)
