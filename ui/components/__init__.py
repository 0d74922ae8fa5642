"""Drawings that Streamlit has no element for: the layer stack, the plan grid and the phase timeline.

Each is an inline component (v2): registered once at import, its nodes are reused over reruns, and names from data
reach the page through `textContent` only.
"""
