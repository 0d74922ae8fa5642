"""`samples`: list the ready samples."""

import argparse

from tl_core.cli.console import Console


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print every ready sample."""
    from tl_core.data.samples import SAMPLES

    samples = SAMPLES.values()
    if arguments.json:
        fields = ("name", "title", "summary", "modality", "licence", "source")
        console.json([{field: getattr(sample, field) for field in fields} for sample in samples])
        return 0
    rows = [(f"sample:{s.name}", s.modality, s.title, s.licence) for s in samples]
    console.table(("DATA", "kind", "what", "licence"), rows)
    return 0
