"""Drawings that Streamlit has no element for: rail, backbone tree, drop zone, layer stack, plan grid, phase timeline.

Each is an inline component (v2) that is registered once, at import. Its nodes are reused over reruns. Names from data
reach the page through `textContent` only, so that they cannot inject markup. Script and style lie beside the module.
"""
