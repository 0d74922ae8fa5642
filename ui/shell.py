"""The script behind every page: page settings, the rail, the page, then Back and Continue."""

import streamlit as st

from ui import errors, rail, session
from ui.brand import FAVICON, LOGO

st.set_page_config(page_title="Graft", page_icon=str(FAVICON), layout="wide")
st.logo(str(LOGO), size="large")

names = list(rail.page_files())
pages = [
    st.Page(path, title=rail.Step(name, "later", "").title, url_path=name, default=name == names[0])
    for name, path in rail.page_files().items()
]
page = st.navigation(pages, position="hidden")
current = page.url_path or names[0]

project = session.current()
run_id = st.query_params.get("run", "")
if run_id and run_id != project.run and run_id.replace("-", "").isalnum():
    project = session.update(run=run_id)
session.write_url(project)

st.session_state.pop(rail.BLOCKED, None)
if clicked := rail.draw(project, current):
    rail.go(clicked)
errors.guard(page.run)
rail.footer(current)
