"""A page of names that hold markup, each escaped as the app escapes names; `test_markup.py` looks at it."""

import streamlit as st

from ui.words import escape

NAMES = [
    *(
        "![x](http://host.example/a.png)",
        "[a](http://host.example)",
        "http://host.example/x_y_z",
        "https://host.example",
    ),
    *("www.host.example", "me@host.example", "mailto:me@host.example", "xmpp:me@host.example", "<img src=x>"),
    *("a -> b", "a <- b", "a -- b", "x --- y", "a >= b <= c ~= d", "&lt;b&gt; &amp; &#65;", "==m==", "=== t"),
    *(
        ":smile: :streamlit: :material/check:",
        ":red[x] :blue-badge[y]",
        "_a_b_ c_d __e__",
        "$a^2$ and $$b$$",
        "~~s~~ ~s~",
        "**b** _i_ `c`",
        "# h",
    ),
    *("- item", "+ plus", "1. one", "2) two", "> q", "a|b", "[^1] [ ] [x]", "C:\\x", "{x} \\alpha", "    code"),
]

if __name__ == "__main__":
    for name in NAMES:
        st.markdown(escape(name))
        st.markdown(f"**{escape(name)}** :gray[{escape(name)}]")
    st.markdown("The end.")
