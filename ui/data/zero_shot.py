"""Items without labels: ask for the names of the classes, sort the items by them, and use that as first labels."""

import numpy as np
import streamlit as st

from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.data.guesses import answers, sorting
from tl_core.data.guesses.origin import read_origin
from tl_core.data.guesses.sorting import Question, Sorting, guess, read_scores, read_sorting
from tl_core.data.options import ImportOptions
from tl_core.data.sources import GUESSES_PREFIX, ONLY_CHECKED
from tl_core.errors import GraftError
from tl_core.runs.task import Task
from tl_core.types import noun
from tl_core.zero_shot.names import TEMPLATES, check_names, check_templates
from tl_core.zero_shot.readers import readers
from ui import errors, glossary, rail, session, words
from ui.data import import_progress, review
from ui.runs import display, launch, lookup


def draw(dataset: Dataset) -> None:
    """Draw the question, the state of the run, and the result with its review."""
    rail.block("These items have no labels yet.")
    try:
        specs = {spec.name: spec for spec in readers(dataset, session.workspace())}
    except GraftError as error:
        errors.show(error)
        return
    question = sorting.asked(dataset)
    _question(dataset, question, specs)
    if question is None:
        return
    result = read_sorting(dataset, question)
    if result is None:
        _run(dataset, question)
    else:
        _result(dataset, result)


def _question(dataset: Dataset, question: Question | None, specs: dict[str, BackboneSpec]) -> None:
    key = f"zero_{dataset.fingerprint}"
    with st.form(f"{key}_form", border=True):
        left, right = st.columns([3, 2], gap="large")
        with left:
            typed = st.text_area(
                "Names of the classes, one a line", "\n".join(question.classes) if question else "",
                height=150, key=f"{key}_names", placeholder="sport\npolitics\nbusiness",
                help=glossary.tip("zero-shot"),
            )  # fmt: skip
        with right:
            templates = st.text_area(
                "Templates, one a line",
                "\n".join(question.templates if question else TEMPLATES[dataset.parts[0]]),
                height=105, key=f"{key}_templates",
                help="The sentences that each name is put into, in place of {}. The average of them is compared.",
            )  # fmt: skip
            names = list(specs)
            index = names.index(question.backbone) if question and question.backbone in names else 0
            backbone = st.selectbox(
                "Backbone", names, index, format_func=lambda name: specs[name].title, key=f"{key}_backbone",
                help=glossary.tip("backbone"),
            )  # fmt: skip
        if st.form_submit_button("Sort my items", icon=":material/auto_awesome:", type="primary", key=f"{key}_go"):
            _ask(dataset, backbone, typed, templates)


def _ask(dataset: Dataset, backbone: str, typed: str, templates: str) -> None:
    """Store the question and start to answer it; show what is wrong with it."""
    try:
        names = check_names(line for line in typed.splitlines() if line.strip())
        asked = Question(backbone, names, check_templates(line for line in templates.splitlines() if line.strip()))
        sorting.ask(dataset, asked)
        if read_sorting(dataset, asked) is None:
            launch.start_new(task_of(dataset, asked))
    except GraftError as error:
        errors.show(error)
        return
    st.rerun()


def task_of(dataset: Dataset, question: Question) -> Task:
    """Return the task that answers a question."""
    return Task(
        "zeroshot", question.backbone, dataset.fingerprint, dataset.split, name=f"{dataset.name}, sorting",
        classes=question.classes, templates=question.templates,
    )  # fmt: skip


def _run(dataset: Dataset, question: Question) -> None:
    """Show how far the run is, or why it did not finish."""
    task = task_of(dataset, question)
    state = next((state for state in lookup.store().list() if state.task == task), None)
    if state is not None and state.active:
        st.fragment(_progress, run_every=1.0, key="zero_progress")(state.id)
        return
    if state is not None and state.status == "stopped":
        st.caption("Stopped. Press **Sort my items** to start again.")
    elif state is not None and state.status != "done":
        st.warning(words.escape(f"{state.reason} {state.hint}".strip()), icon=":material/warning:")


def _progress(run_id: str) -> None:
    state = lookup.store().state(run_id)
    if not state.active:
        st.rerun()
    share, stage = display.progress(state)
    st.progress(share, text=words.escape(stage))
    if st.button("Stop", icon=":material/stop:", disabled=state.stopping, key="zero_stop"):
        lookup.store().stop(state.id)


def _result(dataset: Dataset, result: Sorting) -> None:
    """Show how many items went where, the items to check, and the way on."""
    question = result.question
    words.show_findings(result.findings)
    guesses = guess(read_scores(dataset, question))
    given = answers.answers(dataset)
    labels = {row: label for row, label in given.labels.items() if label in ("", *question.classes)}
    sample = answers.random_sample(dataset)
    left, right = st.columns([2, 1], gap="large")
    with left:
        review.draw(dataset, question, guesses, labels, sample)
    with right:
        _counts(question, guesses.label, labels)
        _go_on(dataset, question, labels, sample)
        if given.latest is not None and st.button("Undo the last answer", icon=":material/undo:", key="zero_undo"):
            answers.undo_latest(dataset)
            st.rerun()


def _counts(question: Question, guessed: np.ndarray, labels: dict[int, str]) -> None:
    """Show the items of each class, and how many of them a person has checked."""
    names = np.array([*question.classes, ""], dtype=object)[guessed]
    for row, label in labels.items():
        names[row] = label
    rows = [(name, int((names == name).sum()), sum(label == name for label in labels.values()))
            for name in question.classes]  # fmt: skip
    header = ("Class", "Items", "Checked")
    st.dataframe(
        {name: [row[index] for row in rows] for index, name in enumerate(header)},
        hide_index=True, key="zero_counts", height=min(420, 38 + 35 * len(rows)),
    )  # fmt: skip


def _go_on(dataset: Dataset, question: Question, labels: dict[int, str], sample: np.ndarray) -> None:
    """Offer to make a labelled data set, once enough of the random sample is checked."""
    tested = answers.checked(sample, labels)
    checked, needed = len(tested), answers.enough(sample, labels)
    text = f"Random sample for testing: {checked:,} checked, at least {needed:,} needed"
    st.progress(min(1.0, checked / max(1, needed)), text=text)
    st.caption(
        "The items of this sample that you have checked become the test items, so that results are measured on true "
        "labels. All other items are learned from.",
        help=glossary.tip("test items"),
    )
    later = sum(bool(labels.get(int(row))) for row in sample) - checked
    if later:
        st.caption(
            f"{later:,} more do not count yet: a sample is random only if none is passed over. "
            "Answer the first one without an answer."
        )
    only_checked = st.toggle(
        "Learn from checked items only",
        key="zero_only",
        help="For when you have checked some 100 items, best at random. Alone they taught more than all guesses when "
        "we measured it with 5 and 8 classes; with 20 classes the guesses helped.",
    )
    untested = [name for name in question.classes if name not in {labels[row] for row in tested}]
    if checked >= needed and untested and checked < len(sample):
        st.caption(f"Not among them yet: {words.escape(', '.join(untested[:5]))}. Checking more may find some.")
    if st.button(
        "Use these as first labels",
        type="primary",
        icon=":material/arrow_forward:",
        disabled=checked < needed,
        key="zero_use",
        width="stretch",
        help=f"Check {needed - checked:,} more of the random sample first." if checked < needed else None,
    ):
        source = f"{GUESSES_PREFIX}{dataset.fingerprint}{ONLY_CHECKED if only_checked else ''}"
        import_progress.start(source, ImportOptions(name=f"{dataset.name}, sorted"))


def back_button(dataset: Dataset) -> None:
    """Offer the way back to the sorting that a data set was made from, if it is still there."""
    origin = read_origin(dataset)
    pool = session.open_dataset(origin.pool) if origin else None
    if pool and st.button("Back to the sorting", icon=":material/undo:", key="zero_back"):
        session.choose_dataset(pool)
        st.rerun()


def heading_text(dataset: Dataset) -> str:
    """Return the number of items, and that they have no labels, in words."""
    count = len(dataset.items)
    return f"{count:,} {noun(dataset.modality, count)} without labels. Name the classes, and Graft proposes labels."
