"""What the Data page draws of a profile: the effect of unequal classes, sizes and looks, languages, the card."""

from streamlit.testing.v1 import AppTest

from tests.pages.conftest import page_text, upload, zip_bytes
from tl_core.data.sources import list_datasets
from tl_core.workspace import Workspace


def drawn(app: AppTest) -> str:
    return "\n".join(element.proto.alt or "" for element in app.get("plotly_chart"))


def test_pictures_show_their_looks_and_offer_a_card(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes())
    assert not app.exception
    assert "24 square" in page_text(app)
    assert "Brightness (percent): median" in drawn(app)
    assert any(button.key == "data_card" for button in app.get("download_button"))


def test_unequal_classes_are_explained_in_words(app: AppTest) -> None:
    rows = [f"praise number {i} about the parcel,praise" for i in range(60)]
    rows += [f"complaint number {i} about {'more ' * (i % 5)}rain,complaint" for i in range(20)]
    upload(app, "letters.csv", ("text,label\n" + "\n".join(rows)).encode())
    app.button(key="data_import").click().run()
    assert not app.exception
    assert "right for 75% of the items" in page_text(app)
    assert "Weigh rare classes up" in page_text(app)
    assert "Length (tokens): median" in drawn(app)
    assert "English" in page_text(app) + drawn(app)
    assert "of the words whole" in page_text(app)


def test_a_rerun_reads_nothing_of_the_data_set_again(app: AppTest, workspace: Workspace, monkeypatch) -> None:
    upload(app, "flowers.zip", zip_bytes())
    (dataset,) = list_datasets(workspace)
    (dataset.folder / "manifest.parquet").unlink()  # a second read would fail
    monkeypatch.setattr("tl_core.data.profile.count_classes", None)
    app.run()
    assert not app.exception


def test_the_words_of_texts_are_judged_by_the_backbone_that_would_be_recommended(app: AppTest) -> None:
    """Before one is chosen: an English backbone's trouble with German is no trouble of the data."""
    rows = [f"Der Besuch am Tag {i} war sehr {('angenehm', 'unfreundlich')[i % 2]} gewesen" for i in range(40)]
    table = "text,label\n" + "\n".join(f"{row},{('gut', 'schlecht')[i % 2]}" for i, row in enumerate(rows))
    upload(app, "besuche.csv", table.encode())
    app.button(key="data_import").click().run()
    assert "40" in page_text(app)
    assert "does not know many words" not in page_text(app)
