"""Try & take away: predictions of the model, and the bundle that works without this app."""

import streamlit as st

from tl_core.evaluation.result_files import bundle_folder
from ui import empty, projects, rail, reports, session
from ui.runs import lookup
from ui.try_out import batch, pair, predictor, single, take_away

st.title("Use it anywhere", anchor=False)
run = lookup.project_run()
if empty.need_run() and run:
    report, bundle = reports.read_report(run), bundle_folder(lookup.store().folder(run.id))
    if report and bundle.is_dir():
        predictor.warm(bundle)
        dataset = session.open_dataset(report.fingerprint)
        one, many = st.tabs(["One at a time", "Many at once"], key="try_tabs")
        with one:
            one_of = {"image": single.one_image, "text": single.one_text, "multimodal": pair.one_pair}
            one_of[predictor.modality(bundle)](bundle, report, dataset)
        with many:
            batch.batch(bundle, report)
        st.header("Take it away", anchor=False)
        take_away.draw(bundle, report)
        st.subheader("What next", anchor=False)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("Your model is kept under Runs. Do you have another task?", width="content")
            projects.begin_button("try_new")
    else:
        rail.block("This needs a finished training.")
        text = "The training is still running." if run.active else "This run has no finished model."
        empty.empty("deployed_code", "No model to try yet", text, "Go to training", "train")
