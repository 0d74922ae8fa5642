"""Taking the model away: the bundle as a download, what is in it, and how to run it elsewhere."""

import re
from pathlib import Path

import streamlit as st

from tl_core.evaluation.results import Report
from tl_core.export.archive import zip_bundle
from ui import words
from ui.try_out import ensemble, predictor

CONTENTS = {
    "weights.safetensors": "the weights: what the network has learned",
    "predict.py": "a program that classifies files, without this app",
    "predict_single.py": "what predict.py uses for each part of an item",
    "labels.json": "the names of the classes",
    "preprocessing.json": "how a file is turned into numbers, exactly as in training",
    "plan.yaml": "the plan: what learned, when and how fast",
    "report.json": "the report: everything that was measured",
    "README.md": "the model card: data, results, limits",
    "requirements.txt": "what to install to run it",
    "tokenizer.json": "how a text is split into tokens",
    "config.json": "how the network is built",
}
ORDER = {name: number for number, name in enumerate(CONTENTS)}


def draw(bundle: Path, report: Report) -> None:
    """Offer the bundle for download, and list its contents."""
    slug = re.sub(r"[^a-z0-9]+", "-", report.dataset.lower()).strip("-") or "model"

    def packed() -> bytes:
        return zip_bundle(bundle, bundle.parent / f"{slug}-model.zip").read_bytes()

    left, right = st.columns(2, gap="large")
    with left:
        st.write("One file with everything you need to use the model elsewhere. It does not need this app.")
        st.download_button(
            "Download the model",
            packed,
            file_name=f"{slug}-model.zip",
            mime="application/zip",
            type="primary",
            icon=":material/download:",
            on_click="ignore",
            key="try_download",
        )
        st.markdown("**Use it on another computer**")
        sample = {"image": "pictures/", "text": "texts.csv", "multimodal": "items.csv"}[predictor.modality(bundle)]
        st.code(
            f"unzip {slug}-model.zip && cd {slug}-model\npip install -r requirements.txt\n"
            f"python predict.py {sample} --out predictions.csv",
            language="bash",
        )
        ensemble.offer(bundle.parent, report, slug)
    with right:
        st.markdown("**What is in it**")
        lines = [
            f"- `{path.name}` {CONTENTS.get(path.name, '')} :gray[({words.size(path.stat().st_size)})]"
            for path in sorted(bundle.iterdir(), key=lambda path: ORDER.get(path.name, len(ORDER)))
            if path.is_file()
        ]
        st.markdown("\n".join(lines))
    card = bundle / "README.md"
    if card.is_file():
        with st.expander("Model card", icon=":material/description:", key="try_card"):
            text = card.read_text(encoding="utf-8").replace(
                "![", "!\\["
            )  # a card of before may hold a name as a picture
            st.markdown(re.sub(r"^(#{1,3}) ", r"##\1 ", re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S), flags=re.M))
