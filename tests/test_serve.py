import io
import json
import os
from pathlib import Path

from tl_core import serve
from tl_core.errors import DataError, ExportError


def answers(classify, *questions):
    out = io.StringIO()
    serve.serve(classify, iter([json.dumps(question) for question in questions]), out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_every_question_is_answered_in_turn():
    asked = []

    def classify(source, out, report):
        asked.append((source, out))
        report(0, 2)
        return 2, [("notes.txt", "not a picture")], ["one", "two"]

    question = {"source": "a.zip", "out": "t.csv"}
    one = [{"done": 0, "total": 2}, {"items": 2, "skipped": [["notes.txt", "not a picture"]], "texts": ["one", "two"]}]
    assert answers(classify, question, question) == one * 2
    assert asked == [("a.zip", Path("t.csv"))] * 2


def test_a_mistake_is_told_and_the_next_question_answered():
    ends = iter([DataError("Empty.", "Type words."), ExportError("Damaged.", "Train again."), ValueError("odd"), None])

    def classify(source, out, report):
        if error := next(ends):
            raise error
        return 1, [], []

    assert answers(classify, *[{"source": "x", "out": "y"}] * 4) == [
        {"mistake": "Empty.", "hint": "Type words."},
        {"failure": "Damaged.", "hint": "Train again."},
        {"failure": serve.FAILED, "hint": serve.FAILED_HINT},
        {"items": 1, "skipped": [], "texts": []},
    ]


def test_lines_end_with_the_file():
    read, write = os.pipe()
    os.write(write, "one\ntwö\nhalf".encode())
    os.close(write)
    assert list(serve.lines(read)) == ["one", "twö"]
    os.close(read)


def test_lines_end_when_nobody_asks():
    read, write = os.pipe()
    os.write(write, b"one\n")
    assert list(serve.lines(read, idle=0.05)) == ["one"]
    os.close(read)
    os.close(write)


def test_a_damaged_bundle_is_told_with_each_answer(tmp_path):
    replies = answers(serve._load(tmp_path), {"source": "x", "out": "y"})
    assert "not a complete bundle" in replies[0]["failure"]
