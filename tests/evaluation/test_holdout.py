"""The uses of the test items, as reports and model cards list them."""

from dataclasses import replace

import pytest

from tests.export.made import trained_model
from tl_core.data.holdout_log import HoldoutUse, holdout_uses, record_holdout_use
from tl_core.evaluation.holdout import EVALUATE, REPORT, holdout_sentence, merged_uses
from tl_core.evaluation.results import Report
from tl_core.export.bundle import load_bundle, write_bundle
from tl_core.export.bundle_metrics import evaluate_bundle
from tl_core.export.ensemble import load_ensemble, write_ensemble
from tl_core.export.model_card import model_card
from tl_core.types import dump, load

OWN = HoldoutUse("key", "run-1", REPORT, 1.0)
OTHERS = tuple(HoldoutUse("key", f"run-{n}", REPORT, float(n)) for n in range(2, 8))


@pytest.fixture
def trained(tiny_images, tiny_backbones):
    return trained_model(tiny_images, "tiny_image")


def with_uses(trained, *uses: HoldoutUse):
    return replace(trained, report=replace(trained.report, holdout_uses=uses))


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        ((), "was not recorded"),
        ((OWN,), "At the time of writing, the test items had been used once: by this report."),
        ((OWN, OTHERS[0]), "used twice: by this report and the report of run run-2. Each choice"),
        (
            (HoldoutUse("key", "", "curve of tiny", 0.0), OWN, HoldoutUse("key", "run-1", EVALUATE, 2.0)),
            "used 3 times: by the curve of tiny, this report and `evaluate` of this model.",
        ),
        (
            (HoldoutUse("key", "", EVALUATE, 0.0), OWN),
            "used twice: by `evaluate` of an ensemble and this report.",
        ),
        (
            (OWN, HoldoutUse("key", "run-1+run-2+run-3", EVALUATE, 2.0)),
            "used twice: by this report and `evaluate` of an ensemble of runs run-1, run-2 and run-3.",
        ),
        ((OWN, *OTHERS), "used 7 times: by this report, the report of run run-2, the report of run run-3, the report"),
    ],
)
def test_the_model_card_lists_the_uses_of_the_test_items(trained, uses, expected):
    card = model_card(with_uses(trained, *uses))
    assert expected in card
    assert "looked at once" not in card
    if len(uses) > 5:
        assert "and 2 more." in card


def test_only_repeated_use_is_warned_about(trained):
    assert "too good" not in holdout_sentence(with_uses(trained, OWN).report)
    assert "too good" in holdout_sentence(with_uses(trained, OWN, OTHERS[0]).report)


def test_the_uses_are_saved_with_the_report_and_older_reports_still_open(trained):
    report = with_uses(trained, OWN, OTHERS[0]).report
    saved = dump(report)
    assert load(Report, saved) == report
    del saved["holdout_uses"]
    assert load(Report, saved).holdout_uses == ()


def test_evaluating_on_the_models_own_test_items_is_a_use_and_on_other_data_is_not(trained, tmp_path):
    dataset = trained.dataset
    record_holdout_use(dataset, "run-1", REPORT)
    bundle = load_bundle(write_bundle(tmp_path / "model", trained).path)
    evaluate_bundle(bundle, replace(dataset, fingerprint="other"))
    assert [use.why for use in holdout_uses(dataset)] == [REPORT]
    for _ in range(2):
        evaluate_bundle(bundle, dataset)
    assert [(use.run, use.why) for use in holdout_uses(dataset)] == [("run-1", REPORT), ("run-1", EVALUATE)]


def test_each_ensemble_is_a_use_of_its_own(trained, tmp_path):
    runs = ("run-1", "run-2", "run-3")
    paths = [
        write_bundle(tmp_path / run, replace(trained, report=replace(trained.report, run=run))).path for run in runs
    ]
    for name, members in (("one", paths[:2]), ("same", paths[1::-1]), ("other", paths[1:])):
        write_ensemble(tmp_path / name, members)
        evaluate_bundle(load_ensemble(tmp_path / name), trained.dataset)
    assert [use.run for use in holdout_uses(trained.dataset)] == ["run-1+run-2", "run-2+run-3"]


def test_an_ensemble_lists_the_uses_of_all_its_members(trained, tmp_path):
    paths = [
        write_bundle(tmp_path / "a", with_uses(trained, OWN)).path,
        write_bundle(tmp_path / "b", with_uses(trained, OTHERS[0], OWN)).path,
    ]
    report = write_ensemble(tmp_path / "both", paths)
    assert report.holdout_uses == (OWN, OTHERS[0]) == merged_uses([report])
    assert "used twice: by the report of run run-1 and" in (tmp_path / "both" / "README.md").read_text(encoding="utf-8")
