"""`train`: train a model and write its bundle to a folder."""

import argparse
import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tl_core.cli.advise import advise_on, ensure_probe
from tl_core.cli.columns import column_options
from tl_core.cli.console import Console
from tl_core.cli.data import choose_backbone, open_data, open_pool, origins_json, usable_profile
from tl_core.cli.evaluate import ONE, SEVERAL, numbers, print_slices
from tl_core.cli.plan_checks import check_plan
from tl_core.cli.run_pointer import POINTER, RunPointer, clear_pointer, command, read_pointer, write_pointer
from tl_core.cli.running import begin, follow
from tl_core.errors import ExportError, PlanError, RunError, UsageError
from tl_core.evaluation.holdout import holdout_sentence
from tl_core.evaluation.result_files import bundle_folder, read_report
from tl_core.runs.store import RunState, RunStore
from tl_core.runs.task import Task
from tl_core.types import dump
from tl_core.workspace import Workspace, read_json

if TYPE_CHECKING:
    from tl_core.backbones.spec import BackboneSpec
    from tl_core.data.dataset import Dataset
    from tl_core.evaluation.results import Report
    from tl_core.plan import TransferPlan

STOPPED = 130


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Train with the requested plan, or the advised one, and copy the bundle out."""
    out: Path = arguments.out
    check_names(arguments)
    check_out(out, arguments.fresh)
    workspace = Workspace.default()
    written = read_plan(arguments.plan)
    dataset = open_data(arguments.data, workspace, console, column_options(arguments), arguments.test)
    check_replaced(out, dataset, arguments.overwrite, console)
    plan = choose_plan(written, arguments, dataset, workspace, console)
    check_plan(plan, arguments, console, dataset)
    task = Task(
        "train",
        plan.backbone,
        dataset.fingerprint,
        dataset.split,
        plan,
        arguments.seed,
        name=dataset.name,
        decisions=dataset.pin_decisions(),
    )
    task = with_extra_inputs(task, arguments, dataset, workspace, console)
    for origin in dataset.origins:
        console.note(f"Read: {origin}.")
    run_id = begin(workspace, task)
    write_pointer(out, RunPointer(workspace.root, run_id))
    with hint_to_resume(workspace, run_id, out, console):
        state = follow(workspace, run_id, console)
    return deliver(workspace, state, out, arguments.json, console)


def choose_plan(
    written: str | None, arguments: argparse.Namespace, dataset: "Dataset", workspace: Workspace, console: Console
) -> "TransferPlan":
    """Return the `written` plan of --plan, the plan of --strategy, or the advised plan."""
    if written is not None:
        usable_profile(dataset)
        return _plan_from(written, arguments.backbone, dataset)[0]
    spec = choose_backbone(arguments.backbone, dataset)
    if arguments.strategy:
        return strategy_plan(arguments.strategy, arguments, dataset, spec, workspace, console)
    advice = advise_on(dataset, spec, workspace, console)
    console.note(f"Training as advised: {advice.strategy} on {advice.backbone}.")
    return advice.plan


def with_extra_inputs(
    task: Task, arguments: argparse.Namespace, dataset: "Dataset", workspace: Workspace, console: Console
) -> Task:
    """Import the extra data sets and the teacher. Raises DataError or UsageError if one does not fit."""
    from tl_core.jobs.extra_inputs import import_teacher, open_extra_inputs

    if arguments.source:
        source = open_data(arguments.source, workspace, console)
        task = replace(task, source=source.fingerprint, source_decisions=source.pin_decisions())
    if arguments.target:
        target = open_pool(arguments.target, dataset.modality, workspace, console)
        task = replace(task, target=target.fingerprint, target_decisions=target.pin_decisions())
    teacher = import_teacher(workspace, arguments.teacher) if arguments.teacher else ""
    task = replace(task, teacher=teacher)
    try:
        open_extra_inputs(workspace, task, dataset)
    except RunError as error:
        raise UsageError(error.message, error.hint) from error
    return task


@contextlib.contextmanager
def hint_to_resume(workspace: Workspace, run_id: str, out: Path, console: Console) -> Iterator[None]:
    """If the run ends early, print how to resume it, or clean up `out` if it cannot be resumed."""
    try:
        yield
    except (RunError, KeyboardInterrupt):
        state = RunPointer(workspace.root, run_id).state()
        # while this very process is the owner, a run without an end counts as running
        if state and (state.resumable or state.status == "running"):
            console.note(f"What was learned is kept. To go on: {command(out)}")
        else:
            clear_pointer(out)
        raise


def deliver(workspace: Workspace, state: RunState, out: Path, as_json: bool, console: Console) -> int:
    """Copy the bundle of a run to `out`, print its metrics, and return the exit code."""
    from tl_core.data.sources import open_dataset

    folder = RunStore(workspace).folder(state.id)
    report = read_report(folder)
    if report is None:
        clear_pointer(out)
        console.note("Stopped before anything was learned, so nothing was written.")
        return STOPPED
    copy_bundle(bundle_folder(folder), out)
    if state.resumable:
        write_pointer(out, RunPointer(workspace.root, state.id))
        console.note(f"To go on with the training: {command(out)}")
    if as_json:
        dataset = open_dataset(workspace, state.task.fingerprint)
        console.json({**_document(report, state, out), **origins_json(dataset)})
    else:
        _print(report, out, console)
    return STOPPED if state.status == "stopped" else 0


def check_names(arguments: argparse.Namespace) -> None:
    """Raise UsageError for a misspelt name before the work begins."""
    from tl_core.backbones.catalogue import LIBRARIES, find_backbone
    from tl_core.strategies import STRATEGIES

    if arguments.backbone.partition(":")[0] not in ("", *LIBRARIES):
        find_backbone(arguments.backbone)
    if arguments.strategy:
        STRATEGIES[arguments.strategy]


def check_out(out: Path, fresh: bool = False) -> None:
    """Raise UsageError if the folder holds anything but a bundle, or (unless `fresh`) an interrupted training."""
    pointer = read_pointer(out)
    if pointer and (state := pointer.state()):
        _check_earlier(out, state, fresh)
    try:
        if out == Path.cwd():
            raise UsageError(f"{out} is the folder you are in.", "Name a new folder in it.")
        if out.exists() and not out.is_dir():
            raise UsageError(f"{out} is a file.", "Name a folder that does not exist yet.")
        names = {path.name for path in out.iterdir()} if out.is_dir() else set()
        if names - ({POINTER} if pointer else set()) and "weights.safetensors" not in names:
            raise UsageError(f"The folder {out} is not empty and holds no trained model.", "Name a new folder.")
        out.parent.mkdir(parents=True, exist_ok=True)
        probe = out.parent / f".{out.name}.part"
        probe.mkdir(exist_ok=True)
        probe.rmdir()
    except OSError as error:
        raise UsageError(f"The folder {out} cannot be written ({error.strerror}).", "Name another one.") from error


def check_replaced(out: Path, dataset: "Dataset", overwrite: bool, console: Console) -> None:
    """Say that a model in `out` will be replaced. Raises UsageError if it is of other data, unless `overwrite`."""
    if not (out / "weights.safetensors").is_file():
        return
    try:
        config = read_json(out / "config.json")
    except (OSError, ValueError):
        config = None
    of_these_data = isinstance(config, dict) and config.get("fingerprint") == dataset.fingerprint
    if not of_these_data and not overwrite:
        raise UsageError(
            f"The folder {out} holds a model that was trained on other data than {dataset.name}.",
            "Name a new folder, or add --overwrite to replace that model.",
        )
    console.note(f"The model in {out} is replaced once this training has a result.")


def _check_earlier(out: Path, state: RunState, fresh: bool) -> None:
    """Raise UsageError if an earlier run into the same folder is not finished."""
    if state.active:
        raise UsageError(f"Another training into {out} is still going.", "Name another folder, or let it end.")
    if fresh or not (state.resumable or state.status in ("done", "stopped")):
        return
    early = "was stopped" if state.status == "stopped" else "was interrupted"
    what = early if state.resumable else "ended, but its model was not copied there"
    raise UsageError(
        f"An earlier training into {out} {what}.",
        f"To go on with it: {command(out)}. To start over: add --fresh; the earlier run stays in the list of runs.",
    )


def copy_bundle(bundle: Path, out: Path) -> None:
    """Copy a bundle to `out`, replacing an older bundle. Raises ExportError."""
    from tl_core.export.bundle import replaced

    try:
        with replaced(out, ignore=POINTER) as part:
            shutil.copytree(bundle, part, dirs_exist_ok=True)
    except shutil.Error as error:
        raise ExportError(f"The bundle could not be copied to {out}.", "Check the free space.") from error


def read_plan(path: Path | None) -> str | None:
    """Return the text of --plan, None without one. Raises UsageError or PlanError if it is no text file."""
    if not path:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"The plan {path} cannot be read ({error.strerror}).", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{path.name} is not a text file, so it is no plan.", "A plan is a YAML file.") from error


def _plan_from(text: str, backbone: str, dataset: "Dataset") -> tuple["TransferPlan", "BackboneSpec"]:
    """Read a plan and check it. Raises PlanError, or UsageError if it does not fit the command."""
    from tl_core.backbones.catalogue import names
    from tl_core.plan import from_yaml

    named = from_yaml(text).backbone
    if backbone and backbone != named:
        raise UsageError(f"The plan is for {named}, not for {backbone}.", "Leave --backbone out, or change the plan.")
    spec = choose_backbone(named, dataset)
    return from_yaml(text, [group.name for group in spec.groups], (*names(), spec.name), spec.modality), spec


def strategy_plan(
    name: str,
    arguments: argparse.Namespace,
    dataset: "Dataset",
    spec: "BackboneSpec",
    workspace: Workspace,
    console: Console,
) -> "TransferPlan":
    """Return the plan of a strategy with the options that suit the data; its caveats are printed."""
    from tl_core.advice.rules import task_info_for
    from tl_core.backbones.speed import read_speed
    from tl_core.strategies import STRATEGIES

    strategy = STRATEGIES[name]
    probe = None if strategy.name == "from_scratch" else ensure_probe(dataset, spec, workspace, console)
    task_info = task_info_for(usable_profile(dataset, spec), spec, probe, read_speed(workspace, spec.name))
    source, target = (bool(getattr(arguments, side, None)) for side in ("source", "target"))
    task_info = replace(task_info, has_source=source, has_target=target)
    for finding in strategy.caveats(task_info):
        console.note(f"{finding.level}: {finding.message} {finding.hint}")
    return strategy.make(task_info)


def _document(report: "Report", state: RunState, out: Path) -> dict[str, Any]:
    """Return what a script reads of a training."""
    return {
        "out": str(out),
        "run": state.id,
        "status": state.status,
        "backbone": report.plan.backbone,
        "strategy": report.plan.strategy,
        "seed": state.task.seed,
        "seconds": state.numbers.get("seconds"),
        "accuracy": dump(report.accuracy),
        "macro_f1": dump(report.macro_f1),
        "validation": dict(report.validation),
        "comparisons": [dump(comparison) for comparison in report.comparisons],
        "multilabel": report.multilabel,
        "auc": dump(report.auc) if report.auc else None,
        "slices": dump(report.slices) if report.slices else None,
        "holdout_uses": [dump(use) for use in report.holdout_uses],
        "findings": [dump(finding) for finding in report.findings],
    }


def _print(report: "Report", out: Path, console: Console) -> None:
    console.line(f"{report.plan.strategy} on {report.plan.backbone}, measured on {report.accuracy.n} test items:")
    rows = [(title, getattr(report, name)) for name, title in (SEVERAL[:5] if report.multilabel else ONE[:2])]
    console.table(("", "value", "low", "high"), [(title, *numbers(estimate)) for title, estimate in rows if estimate])
    print_slices(report.slices, console)
    for comparison in report.comparisons:
        gain = f"{comparison.gain.value:+.3f} ({comparison.gain.low:+.3f} to {comparison.gain.high:+.3f})"
        console.line(f"Against {comparison.title.lower()} ({comparison.other.value:.3f}): {gain}, {comparison.verdict}")
    console.line(holdout_sentence(report))
    for finding in report.findings:
        console.line(f"{finding.level}: {finding.message} {finding.hint}".rstrip())
    console.line(f"The model is in {out}")
