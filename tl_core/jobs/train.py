"""The train job: train, measure on the test items, compare with baselines, and write the bundle."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from shutil import rmtree
from time import monotonic, time
from typing import TYPE_CHECKING, Literal

from tl_core.backbones.catalogue import find_backbone
from tl_core.data.dataset import Dataset
from tl_core.data.holdout_log import holdout_uses, record_holdout_use
from tl_core.errors import DataError, RunError
from tl_core.evaluation.holdout import REPORT
from tl_core.evaluation.result_files import bundle_folder, ensemble_folder, read_report, write_report
from tl_core.evaluation.results import Comparison, Report
from tl_core.jobs.extra_inputs import open_extra_inputs
from tl_core.jobs.job import Events, Job
from tl_core.jobs.resume_state import ResumeState
from tl_core.jobs.teacher_check import teacher_findings
from tl_core.penalties import needs_of
from tl_core.plan import TransferPlan
from tl_core.runs import process
from tl_core.runs.events import Noted, Progress, RunEnded, RunEvent, RunStarted
from tl_core.runs.store import TRAINED, RunStore
from tl_core.types import Finding

if TYPE_CHECKING:
    import numpy as np

    from tl_core.training.model import TransferModel

TEST_ROWS = 256  # measured between two Progress events


def run_train(job: Job) -> Events:
    """Train, then measure on the test items, compare with baselines, and write the bundle."""
    from tl_core.training import loop
    from tl_core.training.best_weights import FILE

    task, dataset = job.task, job.dataset()
    if task.plan is None:
        raise RunError("This run has no plan.", "Make one on the plan page.")
    if not len(dataset.rows("test")):
        raise DataError("The split leaves no test item, so nothing could be measured.", "Give it a test part.")
    progress = ResumeState.of(job.folder)
    if not (progress.ended and (job.folder / FILE).exists()):
        extra_inputs = open_extra_inputs(job.workspace, task, dataset)
        training = loop.TrainJob(
            dataset=dataset,
            spec=job.spec,
            plan=task.plan,
            seed=task.seed,
            folder=job.folder,
            store=job.store(),
            budget=task.budget,
            source=extra_inputs.source,
            target=extra_inputs.target,
            teacher=extra_inputs.teacher,
            resume=progress.begun,
            edits=progress.edits,
        )
        yield from _train(job, loop.train(training, job.control), progress, _teacher_findings(job, dataset))
    if progress.ended is None or progress.ended.status == "failed" or not (job.folder / FILE).exists():
        yield progress.ended or RunEnded("failed", "Training stopped without saying why.", "Start it again.")
        return
    yield from _measure(job, dataset, progress)
    (job.folder / TRAINED).unlink(missing_ok=True)
    yield replace(progress.ended, at=time())


def _teacher_findings(job: Job, dataset: Dataset) -> tuple[Finding, ...]:
    """Return the findings about the teacher, if the plan uses one."""
    task = job.task
    if task.plan is None or not task.teacher or "teacher" not in needs_of(task.plan):
        return ()
    return teacher_findings(job.workspace, task.teacher, dataset)


def _train(job: Job, events: Iterator[RunEvent], progress: ResumeState, notes: Sequence[Finding]) -> Events:
    """Yield the events of a training, with `notes` after its start, and update `progress`."""
    began = monotonic()
    for event in events:
        progress.take(event)
        if not isinstance(event, RunEnded):
            yield event
            yield from map(Noted, notes if isinstance(event, RunStarted) else ())
            continue
        progress.seconds += monotonic() - began
        if event.status != "failed":  # before the checkpoints are deleted, so that the training is never repeated
            progress.save(job.folder)


def _measure(job: Job, dataset: Dataset, progress: ResumeState) -> Events:
    """Measure on the test items; write the report with its comparisons, the bundle, and the key figures."""
    from tl_core.evaluation.report import make_report
    from tl_core.export import TrainedModel
    from tl_core.export.bundle import write_bundle
    from tl_core.training.loop import load_best

    task, spec = job.task, job.spec
    assert task.plan is not None
    model = load_best(job.folder, spec, task.plan, len(dataset.classes))
    probabilities = yield from _probabilities(job, model, dataset)
    report = make_report(job.folder.name, dataset, task.plan, probabilities, progress.validation)
    record_holdout_use(dataset, job.folder.name, REPORT)
    report = replace(
        report, findings=(*report.findings, *_teacher_findings(job, dataset)), holdout_uses=holdout_uses(dataset)
    )
    if task.plan.init == "pretrained":
        yield Progress("comparing with a classical model", 0, 1)
        if report.score is not None:
            report = replace(report, comparisons=(_against_classical(dataset, task.plan, report),))
        yield Progress("comparing with a classical model", 1, 1)
    write_report(job.folder, report)
    yield Progress("writing the bundle", 0, 1)
    write_bundle(bundle_folder(job.folder), TrainedModel(model, spec, dataset, report))
    rmtree(ensemble_folder(job.folder), ignore_errors=True)  # of the model that was there before
    yield Progress("writing the bundle", 1, 1)
    numbers = {"accuracy": report.accuracy.value, "macro_f1": report.macro_f1.value, "seconds": progress.seconds}
    if report.multilabel:
        more = {"auc": report.auc, "exact": report.exact}
        numbers |= {name: estimate.value for name, estimate in more.items() if estimate}
    numbers["memory"] = float(process.peak_memory())
    RunStore(job.workspace).summarise(job.folder.name, numbers)
    if task.compare_to:
        yield from _compare_back(job, dataset, report)


def _probabilities(job: Job, model: "TransferModel", dataset: Dataset) -> Generator[RunEvent, None, "np.ndarray"]:
    """Return probabilities `[N, C]` of the test rows."""
    import numpy as np

    from tl_core.evaluation.predict import predict_rows

    assert job.task.plan is not None
    rows, store, blocks = dataset.rows("test"), job.store(), []
    for start in range(0, len(rows), TEST_ROWS):
        yield Progress("testing", start, len(rows))
        part = rows[start : start + TEST_ROWS]
        blocks.append(predict_rows(model, job.spec, job.task.plan, dataset, part, store))
    yield Progress("testing", len(rows), len(rows))
    return np.concatenate(blocks)


def _against_classical(dataset: Dataset, plan: TransferPlan, report: Report) -> Comparison:
    """Compare with a classical model that learned from the same items."""
    from tl_core.evaluation.baselines import classical_model

    everything = any(phase.fit_on == "train+validation" for phase in plan.phases)
    rows = dataset.rows("train", "validation") if everything else dataset.rows("train")
    model = classical_model(dataset)
    probabilities = model.predict(rows, dataset.rows("test"))
    predicted = probabilities if dataset.multilabel else probabilities.argmax(axis=1)
    return _compare("classical", f"the same {len(rows):,} training items ({model.title})", report, predicted)


def _compare_back(job: Job, dataset: Dataset, report: Report) -> Events:
    """Write this baseline's result into the report and the bundle of the run that it was compared with."""
    from tl_core.evaluation.ensemble import CODE, ensemble_finding, holdout_key
    from tl_core.evaluation.report import true_and_predicted
    from tl_core.export import TrainedModel
    from tl_core.export.bundle import write_bundle
    from tl_core.export.ensemble import write_ensemble
    from tl_core.training.loop import load_best

    try:
        folder = RunStore(job.workspace).folder(job.task.compare_to)
    except RunError:
        folder = None
    compared_report = read_report(folder) if folder else None
    if folder is None or compared_report is None or holdout_key(compared_report) != holdout_key(report):
        message = "The run that this one was to be compared with is gone, or was measured on other items."
        yield Noted(Finding("warn", "no_comparison", message))
        return
    cap = f", at most {job.task.budget:,.0f} seconds of training" if job.task.budget else ""
    budget = f"random weights, the same {len(dataset.rows('train')):,} training items{cap}"
    if compared_report.score is None:
        return
    comparison = _compare("scratch", budget, compared_report, true_and_predicted(report).predicted)
    kept_comparisons = tuple(earlier for earlier in compared_report.comparisons if earlier.baseline != "scratch")
    kept_findings = tuple(finding for finding in compared_report.findings if finding.code != CODE)
    compared_report = replace(
        compared_report,
        comparisons=(comparison, *kept_comparisons),
        findings=(*kept_findings, ensemble_finding(compared_report, report)),
    )
    compared_report = replace(compared_report, holdout_uses=holdout_uses(dataset))
    write_report(folder, compared_report)
    spec = find_backbone(compared_report.plan.backbone, job.workspace)
    model = load_best(folder, spec, compared_report.plan, len(compared_report.classes))
    write_bundle(bundle_folder(folder), TrainedModel(model, spec, dataset, compared_report))
    write_ensemble(ensemble_folder(folder), (bundle_folder(folder), bundle_folder(job.folder)))


def _compare(baseline: Literal["scratch", "classical"], budget: str, report: Report, other: "np.ndarray") -> Comparison:
    from tl_core.evaluation.compare import compare
    from tl_core.evaluation.report import true_and_predicted

    return compare(baseline, budget, *true_and_predicted(report), other)
