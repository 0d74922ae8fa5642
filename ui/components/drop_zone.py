"""The drop zone: files are streamed to the server's disk, with progress and a cancel button."""

import streamlit as st

from ui.components.palette import asset
from ui.upload_route import ROUTE, limit, limit_words

_HTML = """
<div class='graft drop'>
  <div class='zone' role='group' aria-label='Upload'>
    <span class='mark' aria-hidden='true'></span>
    <p class='lead'></p>
    <p class='limit quiet'></p>
    <div class='buttons'>
      <button type='button' class='pick main'>Choose files</button>
      <button type='button' class='pick-folder'>Choose a folder</button>
    </div>
    <input type='file' class='files' multiple hidden aria-label='Files to upload'>
    <input type='file' class='folder' webkitdirectory hidden aria-label='Folder to upload'>
  </div>
  <div class='sending' hidden>
    <p class='what' role='status'></p>
    <progress max='1' value='0' aria-label='How much has been sent'></progress>
    <p class='how quiet number'></p>
    <button type='button' class='cancel'>Cancel</button>
  </div>
  <p class='problem' role='alert' hidden></p>
</div>
"""

_component = st.components.v2.component(
    "graft_drop_zone", html=_HTML, css=asset("palette.css") + asset("drop_zone.css"), js=asset("drop_zone.js")
)


def drop_zone(lead: str, ticket: str, *, key: str, small: bool = False) -> str:
    """Draw the zone; return "sent" once everything has arrived, "gone" once it was cancelled, else ""."""
    base = str(st.get_option("server.baseUrlPath")).strip("/")
    data = {
        "lead": lead,
        "ticket": ticket,
        "url": f"/{base}{ROUTE}" if base else ROUTE,
        "limit": limit(),
        "limitWords": f"Up to {limit_words()}. For more, give a path on this computer, below.",
        "larger": f"At most {limit_words()} can be uploaded. Give a path on this computer instead, below.",
        "small": small,
    }
    events = _component(key=key, data=data, on_sent_change=lambda: None, on_gone_change=lambda: None)
    if events.sent == ticket:
        return "sent"
    return "gone" if events.gone == ticket else ""
