"""Checks that need no model: planted faults are found in real pictures and texts, and clean ones are not reported."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from tests.tiny import write_dataset
from tl_core.data.dataset import FIRST_LINES
from tl_core.data.decisions import Decision
from tl_core.data.options import ImportOptions, RawItem, no_progress
from tl_core.data.picture_stats import STAT_NAMES, picture_stats_of
from tl_core.data.profile import profile
from tl_core.data.quality import CHECKS, CheckInput, duplicates, find_problems, run_checks
from tl_core.data.quality.poor_texts import passages
from tl_core.data.quality.robust_z import robust_z
from tl_core.data.samples import SAMPLES
from tl_core.data.sources import import_data
from tl_core.data.sources.store import Draft, store
from tl_core.types import dump, load

SEEDS = (0, 1, 2)


def texts_of(workspace, rows, classes=2):
    """Write texts by hand; each row is (text, label) or (text, label, given split)."""
    table = [
        {
            "id": f"row {i}",
            "text": text,
            "label": label,
            "digest": f"digest of {text}",
            "given": replies[0] if replies else "",
        }
        for i, (text, label, *replies) in enumerate(rows)
    ]
    return write_dataset(workspace, "texts", "text", table, classes)


def found_in(check_input):
    return {one.code: one for one in run_checks(check_input)}


def test_copies_are_dropped_to_one_and_never_from_the_test_set(workspace):
    rows = [(f"text {i} of its own kind", i % 2, ("train", "validation", "test")[i % 3]) for i in range(60)]
    rows += [("twice in train", 0, "train")] * 2 + [("in train and test", 1, s) for s in ("train", "test", "train")]
    rows += [("only in test", 0, "test")] * 2 + [("in both", 0, "validation"), ("in both", 0, "train")]
    rows += [("two labels", 0, "train"), ("two labels", 1, "train")]
    dataset = texts_of(workspace, rows)
    findings = found_in(CheckInput(dataset))
    assert findings["duplicates"].groups == ((60, 61), (62, 63, 64), (65, 66), (67, 68)), "two labels: said once"
    (drop,) = findings["duplicates"].proposed
    assert (drop.action, drop.rows) == ("drop", (61, 62, 64, 68))
    assert findings["leak"].groups == ((62, 63, 64), (67, 68))
    assert findings["leak"].proposed[0].rows == (62, 64, 68)
    assert findings["label-conflict"].groups == ((69, 70),)
    assert findings["label-conflict"].proposed == ()
    assert [s.code for s in run_checks(CheckInput(dataset))][:2] == ["label-conflict", "leak"], "the gravest first"
    counts = duplicates(dataset)
    assert (counts.copies, counts.groups, counts.conflicts, counts.leaks) == (6, 5, 1, 2)


def test_a_decision_settles_its_finding_and_the_others_stay(workspace):
    rows = [(f"text {i} of its own kind", i % 2) for i in range(60)] + [("one text", 0)] * 2 + [("another", 1)] * 2
    dataset = texts_of(workspace, rows)
    answered = replace(dataset, decisions=(Decision("keep", (60, 61), code="duplicates"),))
    assert found_in(CheckInput(answered))["duplicates"].groups == ((62, 63),)
    assert duplicates(answered) == duplicates(dataset), "the copies are there, whatever is said of them"
    (drop,) = found_in(CheckInput(dataset))["duplicates"].proposed
    assert "duplicates" not in found_in(CheckInput(replace(dataset, decisions=(drop,))))


def test_the_profile_says_the_same_of_copies(workspace):
    dataset = texts_of(
        workspace, [(f"text {i}", i % 2) for i in range(40)] + [("one text", 0), ("one text", 1)] + [("two", 0)] * 2
    )
    finding = {f.code: f for f in profile(dataset).findings}
    findings = found_in(CheckInput(dataset))
    assert finding["label-conflict"] == findings["label-conflict"].finding
    assert finding["duplicates"] == findings["duplicates"].finding
    assert {"label-conflict", "duplicates"} <= {f.code for f in find_problems(dataset, [[23, 0, 0], [21, 0, 0]])}


@pytest.mark.parametrize("apart", [False, True])
def test_near_duplicates_that_the_split_keeps_together_leave_nothing_to_do(workspace, apart):
    words = ["the", "cloud", "river", "stone", "letter", "garden", "winter", "engine", "paper", "music", "doctor"]
    random = np.random.default_rng(0)
    long = [" ".join(random.choice(words, 60)) for _ in range(40)]
    dataset = texts_of(workspace, [(text, i % 2) for i, text in enumerate([*long, long[0].upper() + "!"])])
    findings = found_in(CheckInput(replace(dataset, split=replace(dataset.split, keep_near=not apart))))[
        "near-duplicates"
    ]
    assert bool(findings.proposed) == apart
    assert findings.finding.message.startswith("1 group of texts is nearly the same text (2 in all)")
    assert findings.finding.hint.startswith("Tie them together" if apart else "You need not do anything")


def test_skipped_items_are_reported_also_after_a_thousand_converted_ones(workspace):
    workspace = replace(workspace, limits=replace(workspace.limits, cell=10))
    items = [RawItem(f"row {i}", "ab"[i % 2], text=f"text number {i}") for i in range(FIRST_LINES + 1)]
    items += [RawItem(f"empty {i}", "a") for i in range(100)]
    dataset = store(items, Draft("texts", "texts.csv", "text"), workspace, no_progress)
    findings = {f.code: f for f in find_problems(dataset, [[500, 0, 0], [501, 0, 0]])}
    assert "1,001 items were converted" in findings["converted"].message
    assert findings["skipped"].level == "warn"
    assert findings["skipped"].message == "100 entries of the source were left out. One is empty 0: the text is empty."


def test_near_duplicates_across_a_given_split_are_reported(workspace):
    words = np.array(
        ["the", "cloud", "river", "stone", "letter", "garden", "winter", "engine", "paper", "music", "doctor"]
    )
    random = np.random.default_rng(0)
    long = [" ".join(random.choice(words, 60)) for _ in range(40)]
    rows = [(text, i % 2, ("train", "test")[i >= 30]) for i, text in enumerate(long)]
    rows += [(long[0].upper() + "!", 0, "test"), (long[1].replace(" ", "  "), 1, "train")]
    findings = found_in(CheckInput(texts_of(workspace, rows)))
    assert findings["near-duplicates"].groups == ((0, 40), (1, 41))
    assert [(d.action, d.rows) for d in findings["near-duplicates"].proposed] == [
        ("together", (0, 40)),
        ("together", (1, 41)),
    ]
    assert findings["near-leak"].groups == ((0, 40),)
    assert findings["near-leak"].proposed[0].rows == (0,)
    assert "leak" not in findings


def test_small_classes_are_reported_with_their_items(workspace):
    dataset = texts_of(workspace, [(f"text {i}", 0) for i in range(50)] + [(f"rare {i}", 1) for i in range(6)])
    one = found_in(CheckInput(dataset))["class-too-small"]
    assert one.rows == tuple(range(50, 56))
    assert one.finding.items == ("b",)


def bbc(seed, count=300):
    items = SAMPLES["bbc_news"].items()
    chosen = np.random.default_rng(seed).permutation(len(items))[:count]
    return [(items[i].read().decode("latin-1").strip(), items[i].label) for i in sorted(chosen)]


@pytest.mark.parametrize("seed", SEEDS)
def test_planted_faults_among_news_are_found_and_little_else(workspace, seed):
    random = np.random.default_rng(seed)
    news = bbc(seed)
    names = sorted({label for _, label in news})
    rows = [[text, names.index(label)] for text, label in news]
    places = iter(random.permutation(len(rows)).tolist())
    notice = [next(places) for _ in range(20)]
    links, short = [next(places) for _ in range(8)], [next(places) for _ in range(8)]
    forms = [next(places) for _ in range(6)]
    for place in notice:
        rows[place][0] += "\nSend us your comments with the form below."
    for number, place in enumerate(links):
        rows[place][0] = f"http://example.org/{number}?words=in+a+link *** {number}!"
    for place in short:
        rows[place][0] = rows[place][0][:20]
    for number, place in enumerate(forms):
        rows[place][0] = f"Send us your comments with the form below. {number}"
    dataset = texts_of(workspace, rows, len(names))
    findings = {one.code: one for one in CHECKS["texts"].find(CheckInput(dataset))}
    assert set(findings["no-words"].rows) == set(links)
    assert findings["no-words"].finding.level == "warn"
    assert set(notice) | set(forms) <= set(findings["boilerplate"].rows)
    assert len(findings["boilerplate"].rows) <= 30
    assert "Send us your comments" in findings["boilerplate"].finding.message
    assert set(findings["only-boilerplate"].rows) == set(forms)
    assert set(short) <= set(findings["very-short"].rows) <= set(short) | set(forms)
    for code in ("no-words", "only-boilerplate"):
        (drop,) = findings[code].proposed
        assert set(drop.rows) == set(findings[code].rows) - set(dataset.rows("test").tolist())


@pytest.mark.parametrize("seed", SEEDS)
def test_clean_news_are_left_alone(workspace, seed):
    news = bbc(seed)
    names = sorted({label for _, label in news})
    dataset = texts_of(workspace, [(text, names.index(label)) for text, label in news], len(names))
    assert set(found_in(CheckInput(dataset))) <= {"duplicates", "near-duplicates", "near-leak", "very-long"}


def test_a_passage_that_gives_the_class_away_is_a_warning(workspace):
    random = np.random.default_rng(0)
    rows = [(" ".join(random.choice(list("abcdefghij"), 40)), i % 2) for i in range(200)]
    replies = [(f"{text}. This is the reply of our sports desk." if label else text, label) for text, label in rows]
    both = [(f"{text}. This is the reply of our sports desk.", label) for text, label in rows]
    finding = found_in(CheckInput(texts_of(workspace, replies)))["boilerplate"]
    assert finding.finding.level == "warn"
    assert "class 'b'" in finding.finding.message
    assert found_in(CheckInput(texts_of(workspace, both)))["boilerplate"].finding.level == "info"


def test_passages_end_with_a_sentence_or_a_line():
    assert passages(
        "One sentence that is long. Short.\n  A line   that is long enough\nOne sentence that is long."
    ) == [
        "One sentence that is long.",
        "A line that is long enough",
    ]


def test_texts_in_another_language_than_most_are_reported(workspace):
    dataset = texts_of(workspace, [(f"text {i}", i % 2) for i in range(60)])
    languages = np.array(["en"] * 50 + [""] * 5 + ["de"] * 3 + ["fr"] * 2)
    finding = found_in(CheckInput(dataset, languages=languages))["other-language"]
    assert finding.groups == ((55, 56, 57), (58, 59))
    assert "German 3, French 2" in finding.finding.message
    assert "other-language" not in found_in(CheckInput(dataset, languages=np.array(["en", "de"] * 30)))


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def cloth(workspace, seed, faults):
    """Import 120 real pictures of cloth, four with each of `faults`; returns the check input and the rows by kind."""
    items = SAMPLES["textile_defects"].items()
    chosen = np.random.default_rng(seed).permutation(len(items))[:120].tolist()
    kinds = [kind for kind in faults for _ in range(4)] + [""] * (120 - 4 * len(faults))
    raw = []
    for number, (i, kind) in enumerate(zip(chosen, kinds, strict=True)):
        image = Image.open(io.BytesIO(items[i].read())).convert("RGB")
        data = png(faults[kind](image)) if kind else items[i].read()
        raw.append(RawItem(f"{number}.png", items[i].label, read=lambda data=data: data))
    dataset = store(raw, Draft("cloth", "cloth", "image"), workspace, no_progress)
    stats = picture_stats_of(dataset, np.arange(len(dataset.items)))
    rows = {kind: {n for n, its in enumerate(kinds) if its == kind} for kind in faults}
    return CheckInput(dataset, picture_stats=stats), rows


FAULTS = {
    "blurry": lambda image: image.filter(ImageFilter.GaussianBlur(2.5)),
    "dark": lambda image: ImageEnhance.Brightness(image).enhance(0.12),
    "washed-out": lambda image: Image.blend(image, Image.new("RGB", image.size, "white"), 0.88),
    "blank": lambda image: Image.new("RGB", image.size, image.getpixel((5, 5))),
    "odd-shape": lambda image: image.crop((0, 0, image.width, image.height // 3)),
    "tiny": lambda image: image.resize((40, 40)),
}


@pytest.mark.parametrize("seed", SEEDS)
def test_planted_pictures_are_found_and_no_others(workspace, seed):
    check_input, planted = cloth(workspace, seed, FAULTS)
    findings = {one.code: one for one in CHECKS["pictures"].find(check_input)}
    assert {code: set(one.rows) for code, one in findings.items()} == planted
    in_test = set(check_input.dataset.rows("test").tolist())
    for kind, one in findings.items():
        dropped = {row for decision in one.proposed for row in decision.rows}
        assert dropped == (set() if kind in ("odd-shape", "tiny") else planted[kind] - in_test)


def test_clean_pictures_are_left_alone(workspace):
    assert CHECKS["pictures"].find(cloth(workspace, 0, {})[0]) == []


@pytest.mark.parametrize("kind", ["dark", "blurry"])
def test_where_every_picture_is_so_none_is_odd(workspace, kind):
    images = [Image.open(io.BytesIO(item.read())) for item in SAMPLES["textile_defects"].items()[::10]]
    changed = [png(FAULTS[kind](image)) for image in images]
    raw = [RawItem(f"{i}.png", "ab"[i % 2], read=lambda data=data: data) for i, data in enumerate(changed)]
    dataset = store(raw, Draft("cloth", "cloth", "image"), workspace, no_progress)
    check_input = CheckInput(dataset, picture_stats=picture_stats_of(dataset, np.arange(len(dataset.items))))
    assert CHECKS["pictures"].find(check_input) == []


def test_a_picture_that_cannot_be_read_any_more_is_passed_over(workspace):
    check_input, planted = cloth(workspace, 0, {"dark": FAULTS["dark"]})
    stats = check_input.picture_stats.copy()
    stats[0] = np.nan
    assert set(found_in(replace(check_input, picture_stats=stats))["dark"].rows) == planted["dark"] - {0}
    assert stats.shape[1] == len(STAT_NAMES)


def test_robust_z_is_that_of_its_definition():
    values = np.array([1.0, 2, 3, 4, 100, np.nan])
    z_scores = robust_z(values, np.array([True] * 5 + [False]), 0.1)
    assert z_scores[:5] == pytest.approx((values[:5] - 3) / 1.4826)
    assert np.isnan(z_scores[5])
    assert robust_z(np.array([5.0, 5, 5, 6]), np.ones(4, bool), 0.5).tolist() == [0, 0, 0, 2]
    assert robust_z(np.array([np.nan]), np.ones(1, bool), 0.5).tolist() == [0]


def test_every_finding_reads_well_and_goes_to_json_and_back(workspace):
    check_input, _ = cloth(workspace, 0, FAULTS)
    findings = run_checks(check_input)
    assert len(findings) >= 5
    for one in findings:
        assert load(type(one), dump(one)) == one
        assert one.finding.message.endswith(".")
        assert one.finding.hint.endswith(".")
        assert len(one.finding.items) <= 20
        assert len(one.finding.message) + len(one.finding.hint) < 500
        assert not one.scores or len(one.scores) == len(one.rows)


def test_checks_are_found_by_the_registry_and_say_what_they_need(tiny_images):
    assert {
        "copies",
        "near",
        "names",
        "labels",
        "sizes",
        "pictures",
        "texts",
        "language",
        "outliers",
        "alike",
    } <= set(CHECKS)
    assert all(check.title for check in CHECKS.values())
    assert len({check.rank for check in CHECKS.values()}) == len(CHECKS)
    assert not CHECKS["texts"].fits(tiny_images)
    assert CHECKS["pictures"].fits(tiny_images)


@pytest.mark.parametrize(
    ("names", "similar"),
    [
        (["Good", "good", "bad", "GOOD"], {"Good", "good", "GOOD"}),
        (["b\u00e1d", "ba\u0301d", "good"], {"b\u00e1d", "ba\u0301d"}),
        (["bad\u200b", "bad", "good"], {"bad\u200b", "bad"}),
        (["very good", "very-good", "Very_Good", "bad"], {"very good", "very-good", "Very_Good"}),
        (["1", "1.0", "01", "2"], {"1", "1.0", "01"}),
        (["-1", "1", "0", "1-2", "12"], set()),
        (["C", "C#", "C++", "c't"], set()),
        (["go od", "good", "inf", "infinity"], set()),
        (["-", "_", "+"], set()),
    ],
)
def test_classes_that_differ_only_in_how_they_are_written(names, similar, make_table, workspace):
    rows = [f"text {i} of its own kind,{names[i % len(names)]}" for i in range(len(names) * 4)]
    dataset = import_data(make_table("\n".join(["text,label", *rows])), workspace)
    findings = found_in(CheckInput(dataset))
    assert (
        ("classes-alike" in findings)
        == bool(similar)
        == ("classes-alike" in {f.code for f in profile(dataset).findings})
    )
    if similar:
        assert set(findings["classes-alike"].finding.items) == similar
        assert findings["classes-alike"].rows == tuple(i for i in range(len(rows)) if names[i % len(names)] in similar)


def test_what_cannot_be_seen_of_a_class_name_is_written_out(make_table, workspace):
    rows = [f"text {i} of its own kind,{('bad', 'bad' + chr(0x200B), 'good')[i % 3]}" for i in range(12)]
    dataset = import_data(make_table("\n".join(["text,label", *rows])), workspace)
    assert "'bad' and 'bad<U+200B>'" in found_in(CheckInput(dataset))["classes-alike"].finding.message


@pytest.mark.parametrize(("names", "joined"), [(["a;b", "a", "b;c", "c;a"], 3), (["New York; NY", "Bonn", "Ulm"], 0)])
def test_labels_that_look_like_several_in_one(names, joined, make_table, workspace):
    path = make_table("\n".join(["text,label", *(f"text {i} of its own,{names[i % len(names)]}" for i in range(24))]))
    findings = found_in(CheckInput(import_data(path, workspace))).get("labels-joined")
    assert (len(findings.finding.items) if findings else 0) == joined
    if findings:
        assert findings.rows == tuple(i for i in range(24) if ";" in names[i % len(names)])
        assert "--separator ';'" in findings.finding.hint
        again = import_data(path, workspace, ImportOptions(separator=";"))
        assert "labels-joined" not in found_in(CheckInput(again))


def test_labels_that_read_as_if_there_were_none(make_table, workspace):
    rows = [f"text {i} of its own kind,{('N/A', 'good', 'bad', '?')[i % 4]}" for i in range(16)]
    dataset = import_data(make_table("\n".join(["text,label", *rows])), workspace)
    findings = found_in(CheckInput(dataset))["class-like-missing"]
    assert findings.rows == tuple(i for i in range(16) if i % 4 in (0, 3))
    assert set(findings.finding.items) == {"N/A", "?"}
    assert not findings.proposed


def test_dropped_items_take_no_part(workspace):
    rows = [(f"text {i} of its own kind", i % 2) for i in range(60)] + [("**** 12", 0), ("#### 13", 1)]
    dataset = texts_of(workspace, rows)
    assert found_in(CheckInput(dataset))["no-words"].rows == (60, 61)
    gone = replace(dataset, decisions=(Decision("drop", (60,), confirmed=True),))
    assert found_in(CheckInput(gone))["no-words"].rows == (61,)
