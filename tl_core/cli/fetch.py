"""`fetch`: bring another backbone, from the hub or as one's own weights."""

import argparse
from functools import partial

from tl_core.backbones.acquire import make_ready, other_part
from tl_core.backbones.hub.faults import readable_size
from tl_core.backbones.hub.meter import DownloadProgress
from tl_core.backbones.spec import BackboneSpec
from tl_core.cli.console import Console, duration
from tl_core.types import noun
from tl_core.workspace import Workspace


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Make a backbone ready, and print the name to use it by."""
    what: str = arguments.what.strip()
    try:
        spec = make_ready(
            Workspace.default(),
            what,
            arguments.architecture,
            on_progress=partial(_show, console, what),
            on_proof=lambda: console.stage("Looking at the network", 0, 0),
        )
    except KeyboardInterrupt:
        console.note("What has arrived of a download is kept: the same command goes on from there.")
        raise
    code = _report(spec, arguments.json, console)
    if (other := other_part(spec, Workspace.default())) and not arguments.json:
        console.note(f"Its other part, which was made ready as well: {other}")
    return code


def _show(console: Console, what: str, progress: DownloadProgress) -> None:
    sizes = f"{readable_size(progress.done)} of {readable_size(progress.total)}"
    left = progress.seconds_left
    speed = f", {readable_size(progress.speed)}/s, {duration(left)} left" if left is not None else ""
    console.moving(f"Fetching {what}", f"Fetching {what}: {sizes}{speed}", last=progress.done >= progress.total)


def _report(spec: BackboneSpec, as_json: bool, console: Console) -> int:
    """Print the name alone, for scripts; what it is goes to stderr."""
    if as_json:
        console.json(
            {
                "name": spec.name,
                "modality": spec.modality,
                "parameters": spec.parameters,
                "groups": [group.name for group in spec.groups],
                "bytes": spec.weights.bytes,
                "licence": spec.licence,
                "source": spec.source,
            }
        )
        return 0
    console.note(
        f"{spec.title} is ready: it reads {noun(spec.modality)}, and has {spec.parameters / 1e6:,.1f} million "
        f"parameters in {len(spec.groups)} layer groups. Use it as --backbone:"
    )
    console.line(spec.name)
    return 0
