"""Claim: import, profile and split take time in proportion to the items, within 2 GB, up to 100,000 and beyond.

Each size runs in its own process, which first imports 100 other items, so that one-time loading is not counted. The
ratio is the processor time per item of import and split at the largest size over that at the smallest: 1 if time grows
linearly. Processor time (of all threads) depends least on other work on the machine. The profile is timed too but is
not in the ratio, because parts of it (picture statistics, languages and tokens of texts) use a sample if there are many
items. Peak memory is that of the whole process, with libraries and profile (VmHWM).

texts     a CSV with 30 words of BBC news per row, in ten classes
pictures  a zip of PNG files of 32 x 32 pixels, in ten folders

    python -m benchmarks.import_speed [--kinds texts pictures] [--sizes 1000 10000 100000] [--million] [--repeats 1]

`--million` adds 1,000,000 texts, which are not in the ratio.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from tl_core.data.options import RawItem

AIM = "<= 1.2"
KINDS = ("texts", "pictures")
MILLION = 1_000_000
_WARM = 100
_WORDS = 30
_CLASSES = 10


def make_texts(path: Path, n: int, seed: int) -> None:
    """Write a table of `n` different texts of words drawn with their frequencies in BBC news."""
    from tl_core.data.samples import SAMPLES

    words = np.array([w for item in SAMPLES["bbc_news"].items()[::10] for w in _letters(item)], dtype=object)
    draw = np.random.default_rng(seed)
    with open(path, "w", encoding="utf-8") as file:
        file.write("text,label\n")
        for start in range(0, n, 10_000):
            rows = words[draw.integers(0, len(words), (min(10_000, n - start), _WORDS))]
            labels = draw.integers(0, _CLASSES, len(rows)).tolist()
            file.writelines(f"{' '.join(row)},class {label}\n" for row, label in zip(rows, labels, strict=True))


def _letters(item: RawItem) -> list[str]:
    text = item.read().decode("utf-8", "replace") if item.read else item.text
    return [word for word in text.split() if word.isalpha()]


def make_pictures(path: Path, n: int, seed: int) -> None:
    """Write a zip of `n` different pictures: random 8 x 8 patches, enlarged."""
    from PIL import Image

    draw = np.random.default_rng(seed)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(n):
            shades = Image.fromarray(draw.integers(0, 255, (8, 8, 3), dtype=np.uint8))
            buffer = io.BytesIO()
            shades.resize((32, 32), Image.Resampling.BILINEAR).save(buffer, "PNG", compress_level=1)
            archive.writestr(f"class {number % _CLASSES}/{number:07}.png", buffer.getvalue())


MAKE: dict[str, Callable[[Path, int, int], None]] = {"texts": make_texts, "pictures": make_pictures}


def source(folder: Path, kind: str, n: int, seed: int = 0) -> Path:
    """Return a source of `n` items; write it if it does not exist yet."""
    path = folder / f"{kind}-{n}-{seed}.{'csv' if kind == 'texts' else 'zip'}"
    if not path.exists():
        MAKE[kind](path, n, seed)
    return path


def ingest(path: Path, place: Path) -> dict[str, float]:
    """Import, split and profile a source as the app does; return seconds, processor time ("cpu") and items ("n")."""
    from tl_core.backbones.reading import profile_for
    from tl_core.data.sources import import_data
    from tl_core.workspace import Workspace

    start, busy = perf_counter(), process_time()
    dataset = import_data(str(path), Workspace(place))
    imported = perf_counter()
    n = len(dataset.splits)
    split, cpu = perf_counter(), process_time() - busy
    profile_for(dataset)
    end = perf_counter()
    return {"n": n, "import": imported - start, "split": split - imported, "profile": end - split, "cpu": cpu}


def peak() -> float:
    """Return the peak memory of this process in MB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")  # not ru_maxrss, which starts at the parent's value
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1e3


def child(warm: str, path: str) -> None:
    """Import the warm-up source and the source itself, and print the measurements as JSON."""
    with tempfile.TemporaryDirectory() as place:
        ingest(Path(warm), Path(place, "warm"))
        measurements = ingest(Path(path), Path(place, "measured"))
    print(json.dumps({**measurements, "peak_mb": peak()}))


def measured(folder: Path, kind: str, n: int) -> dict[str, float]:
    """Return the measurements of a child process for `n` items; end the benchmark if it fails."""
    warm, path = source(folder, kind, _WARM, seed=1), source(folder, kind, n)
    command = [sys.executable, "-m", "benchmarks.import_speed", "--child", str(warm), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[1])
    if done.returncode:
        raise SystemExit(f"{kind}, {n:,} items: {done.stderr[-2000:]}")
    measurements: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    parts = "  ".join(f"{name} {measurements[name]:.2f} s" for name in ("import", "split", "profile"))
    per_item = seconds_per_item(measurements) * 1e3
    print(f"{kind:8} {n:>9,}  {parts}  {per_item:.3f} ms an item  {measurements['peak_mb']:,.0f} MB", flush=True)
    return measurements


def seconds_per_item(measurements: dict[str, float]) -> float:
    """Return the processor time of import and split per item, in seconds."""
    return measurements["cpu"] / measurements["n"]


def main() -> None:
    """Measure and print; the last line is JSON."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options.add_argument("--sizes", nargs="+", type=int, default=[1_000, 10_000, 100_000])
    options.add_argument("--million", action="store_true", help="also 1,000,000 texts")
    options.add_argument("--repeats", type=int, default=1)
    options.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        child(*chosen.child)
        return
    from benchmarks.common import ratios, result

    small, large = min(chosen.sizes), max(chosen.sizes)
    measurements: dict[str, dict[int, list[dict[str, float]]]] = {
        k: {n: [] for n in chosen.sizes} for k in chosen.kinds
    }
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(chosen.repeats):
            for kind in chosen.kinds:
                for n in chosen.sizes:
                    measurements[kind][n].append(measured(Path(folder), kind, n))
        extra = {"texts_1m": measured(Path(folder), "texts", MILLION)} if chosen.million else {}
    slopes = {
        k: ratios([seconds_per_item(f) for f in by[large]], [seconds_per_item(f) for f in by[small]])
        for k, by in measurements.items()
    }
    worst = max(slopes, key=lambda kind: slopes[kind][0])
    more: dict[str, object] = {f"{kind}_ratio": round(slope[0], 3) for kind, slope in slopes.items()}
    more |= {
        f"{kind}_ms": {n: round(seconds_per_item(runs[0]) * 1e3, 3) for n, runs in by.items()}
        for kind, by in measurements.items()
    }
    more |= {
        f"{k}_peak_mb": {n: round(max(f["peak_mb"] for f in runs)) for n, runs in by.items()}
        for k, by in measurements.items()
    }
    more |= {
        f"{k}_import_s": {n: round(runs[0]["import"], 1) for n, runs in by.items()} for k, by in measurements.items()
    }
    more |= {
        f"{k}_profile_s": {n: round(runs[0]["profile"], 1) for n, runs in by.items()} for k, by in measurements.items()
    }
    more |= {name: {key: round(value, 2) for key, value in values.items()} for name, values in extra.items()}
    claim = f"import and split: processor time per item at {large:,} over time per item at {small:,}, {worst}"
    print(result(claim, slopes[worst], chosen.repeats, AIM, **more))


if __name__ == "__main__":
    main()
