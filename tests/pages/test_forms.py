from dataclasses import dataclass, field

import pytest
from streamlit.testing.v1 import AppTest

from tl_core.strategies import STRATEGIES


@dataclass(frozen=True)
class Options:
    kind: str = field(default="linear", metadata={"label": "Kind", "choices": ("linear", "mlp")})
    reach: str = field(default="b", metadata={"label": "Reach", "choices": tuple("abcdef")})
    epochs: int = field(default=5, metadata={"label": "Epochs", "min": 1, "max": 9, "help": "How long."})
    rate: float = field(default=0.001, metadata={"label": "Rate", "min": 0.0, "max": 1.0})
    warm: bool = field(default=True, metadata={"label": "Warm-up"})
    patience: int | None = field(default=None, metadata={"label": "Patience", "min": 1})
    hidden: str = "no label, no widget"


def page() -> None:
    import streamlit as st

    from tests.pages.test_forms import Options
    from ui import forms

    st.session_state["result"] = forms.form(Options, {"epochs": 7}, "f")


def test_every_kind_of_field_has_its_widget() -> None:
    app = AppTest.from_function(page, default_timeout=30).run()
    assert not app.exception
    assert app.session_state["result"] == {
        "kind": "linear",
        "reach": "b",
        "epochs": 7,
        "rate": 0.001,
        "warm": True,
        "patience": None,
    }


def test_what_is_changed_comes_back_in_its_own_type() -> None:
    app = AppTest.from_function(page, default_timeout=30).run()
    app.number_input(key="f_epochs").set_value(3)
    app.number_input(key="f_patience").set_value(2)
    app.toggle(key="f_warm").set_value(False)
    app.selectbox(key="f_reach").select("e")
    app.run()
    result = app.session_state["result"]
    assert (result["epochs"], result["patience"], result["warm"], result["reach"]) == (3, 2, False, "e")
    assert isinstance(result["epochs"], int)


def strategy_page(name: str) -> None:
    import streamlit as st

    from tl_core.strategies import STRATEGIES
    from ui import forms

    st.session_state["result"] = forms.form(STRATEGIES[name].options, {}, "f")


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_every_strategy_has_a_form_that_returns_its_defaults(name: str) -> None:
    app = AppTest.from_function(strategy_page, kwargs={"name": name}, default_timeout=30).run()
    assert not app.exception
    assert app.session_state["result"] == vars(STRATEGIES[name].options())
