"""The commands and their arguments. Imports nothing heavy, so --help is quick."""

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tl_core.backbones.spec import BACKBONES
from tl_core.cli import columns
from tl_core.errors import UsageError
from tl_core.strategies import STRATEGIES

DATA = "a zip or tar archive, a folder, a table, hub:OWNER/NAME, or sample:NAME"
TEST = (
    "test items from a second source; all of the first DATA is then used for training and validation, and the pair "
    "has its own decisions about items"
)
COMMANDS = {
    "samples": "list the ready samples",
    "profile": "what is in a data set, and what to watch out for",
    "check": "which items look wrong: copies, wrong labels, uninformative pictures and texts",
    "decide": "leave items out, correct labels, and undo such decisions",
    "advise": "the recommended backbone and plan, with reasons",
    "rank": "compare all backbones that are ready on a data set, and say which to take",
    "train": "train a model and write it to a folder",
    "resume": "continue a training that was interrupted",
    "zeroshot": "sort items without labels by the names of the classes alone",
    "predict": "classify images or texts with a trained model",
    "evaluate": "measure a trained model on labelled data",
    "ensemble": "make one model of several by averaging their probabilities",
    "curve": "accuracy over the number of labels",
    "rates": "find out by trying which learning rates suit a plan",
    "layers": "find out by trying which layer groups are worth training",
    "backbones": "list the backbones: those that are ready, those that can be fetched, and what each needs",
    "fetch": "make another backbone ready: from the hub, or one's own weights",
}

DECIDE = {
    "list": "list the decisions",
    "drop": "leave items out",
    "relabel": "give items another --label",
    "keep": "mark items as right, so that the finding --code is not shown again for them",
    "together": "keep items in the same part of the split",
    "accept": "do what `check` proposes under a code",
    "confirm": "let decisions about test items change the test set, for a --reason",
    "undo": "undo decisions, by their numbers",
}


class _Parser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of exiting."""

    def error(self, message: str) -> NoReturn:
        sentence = message[0].upper() + message[1:].rstrip(".")
        raise UsageError(f"{sentence}.", f"See: {self.prog} --help")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read a command line. Raises UsageError; SystemExit(0) after --help."""
    names = [word for word in argv if not word.startswith("-")]
    if not argv or (names and argv[0] == names[0] and names[0] not in COMMANDS):
        raise UsageError(*_unknown(names[0] if names else ""))
    arguments = _parser().parse_args(argv)
    if not arguments.command:
        raise UsageError(*_unknown(""))
    return arguments


def _unknown(name: str) -> tuple[str, str]:
    every = f"The commands are: {', '.join(COMMANDS)}."
    if not name:
        return "No command was given.", every
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f"There is no command {name!r}.", f"Did you mean {near[0]!r}?" if near else every


def _parser() -> _Parser:
    parser = _Parser(prog="python -m tl_core", description="Graft: transfer learning, step by step.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    parsers = {name: commands.add_parser(name, help=text, description=text) for name, text in COMMANDS.items()}
    for name in ("profile", "check", "decide", "advise", "rank", "train", "curve", "rates", "layers"):
        parsers[name].add_argument("data", metavar="DATA", help=DATA)
        parsers[name].add_argument("--test", metavar="DATA", default="", help=TEST)
    parsers["check"].add_argument("--quick", action="store_true", help="only the checks that need no model")
    _decide(parsers["decide"])
    for name in ("advise", "curve"):
        _backbone(parsers[name])
    parsers["rank"].add_argument(
        "--backbone",
        metavar="NAME",
        action="append",
        default=[],
        help="compare only the named ones; can be repeated",
    )
    parsers["profile"].add_argument(
        "--card", metavar="FILE.md", type=_path, help="also write the data card to this Markdown file"
    )
    _train(parsers["train"])
    for name in ("train", "rates"):
        _extra_inputs(parsers[name])
    for name in ("train", "rates", "layers"):
        _plan(parsers[name])
    parsers["resume"].add_argument("out", metavar="DIR", type=_path, help="the --out folder of an interrupted `train`")
    parsers["predict"].add_argument(
        "bundle", metavar="DIR", type=_path, help="a folder that `train` or `ensemble` wrote"
    )
    parsers["predict"].add_argument(
        "input", metavar="INPUT", help="an image, a text file, a zip, a folder, a CSV or TSV"
    )
    parsers["predict"].add_argument("--out", metavar="FILE.csv", type=_path, required=True, help="the table to write")
    parsers["evaluate"].add_argument(
        "bundle", metavar="DIR", type=_path, help="a folder that `train` or `ensemble` wrote"
    )
    parsers["evaluate"].add_argument("data", metavar="DATA", help=DATA)
    _zeroshot(parsers["zeroshot"])
    _ensemble(parsers["ensemble"])
    _fetch(parsers["fetch"])
    parsers["backbones"].add_argument("--delete", metavar="NAME", default="", help="remove a backbone that was fetched")
    for name in ("profile", "check", "decide", "advise", "rank", "train", "curve", "rates", "layers", "evaluate"):
        columns.add(parsers[name])
    for name in COMMANDS:
        if name != "predict":
            parsers[name].add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _decide(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="WHAT", nargs="?", default="list", choices=DECIDE, help="; ".join(
        f"{name}: {text}" for name, text in DECIDE.items()
    ))  # fmt: skip
    parser.add_argument(
        "items", metavar="ITEM", nargs="*", help="items as `check` names them, decision numbers, or a code"
    )
    parser.add_argument("--label", metavar="NAME", action="append", default=[], help="the right label; can be repeated")
    parser.add_argument("--code", metavar="CODE", default="", help="the finding that this decision answers")
    parser.add_argument("--reason", metavar="TEXT", default="", help="why the test set has to change")


def _train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", type=_path, required=True, help="the folder for the trained model")
    parser.add_argument("--fresh", action="store_true", help="start over if DIR holds an interrupted training")
    parser.add_argument("--overwrite", action="store_true", help="replace a model of other data in DIR")


def _zeroshot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help=f"{DATA}; labels are not needed")
    parser.add_argument(
        "--classes", metavar="NAMES", required=True, help="the names of the classes: sport,politics,'\"news, world\"'"
    )
    parser.add_argument(
        "--template", metavar="TEXT", action="append", default=[],
        help="a sentence with {} where the name of a class goes; can be repeated",
    )  # fmt: skip
    parser.add_argument("--out", metavar="FILE.csv", type=_path, required=True, help="the table to write")
    parser.add_argument(
        "--backbone", metavar="NAME", default="",
        help="a text backbone, or for pictures one that reads texts too, such as clip_b32; default: the usual one",
    )  # fmt: skip


def _ensemble(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "bundles", metavar="DIR", nargs="+", type=_path, help="folders that `train` wrote from the same data"
    )
    parser.add_argument("--out", metavar="DIR", type=_path, required=True, help="the folder for the ensemble")


def _extra_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", metavar="DATA", default="", help="labelled data of another task, to train on too")
    parser.add_argument("--target", metavar="DATA", default="", help="more data of the same task; labels are ignored")
    parser.add_argument("--teacher", metavar="DIR", default="", help="a folder that `train` wrote: the teacher")


def _fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        metavar="WHAT",
        help="a name that `backbones` lists, hub:OWNER/NAME[@REVISION], timm:NAME, torchvision:NAME, or a "
        "folder, archive or file; with #text behind it the part for texts",
    )
    parser.add_argument(
        "--as",
        dest="architecture",
        metavar="NETWORK",
        default="",
        help="for weights that no config.json describes: timm:NAME, torchvision:NAME, or a backbone listed as a file",
    )


def _backbone(parser: argparse.ArgumentParser) -> None:
    ready = ", ".join(spec.name for spec in BACKBONES.values() if spec.ready)
    more = "timm:NAME, torchvision:NAME, or what `fetch` made ready; for pictures with texts, two: PICTURE+TEXT"
    parser.add_argument("--backbone", metavar="NAME", default="", help=f"{ready}, {more}; default: as advised")


def _plan(parser: argparse.ArgumentParser) -> None:
    _backbone(parser)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--strategy", metavar="NAME", default="", help=f"{', '.join(STRATEGIES)}; default: as advised")
    choice.add_argument("--plan", metavar="FILE", type=_path, help="a transfer plan as YAML")
    parser.add_argument("--seed", metavar="N", type=_seed, default=0, help="default: 0")


def _path(text: str) -> Path:
    """Return an absolute path, because "." has no name to build a sibling's name from."""
    try:
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a path") from error


def _seed(text: str) -> int:
    try:
        seed = int(text)
    except ValueError:
        seed = -1
    if not 0 <= seed < 2**32:
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0 to {2**32 - 1}, not {text!r}")
    return seed
