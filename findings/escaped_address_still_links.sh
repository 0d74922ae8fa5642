#!/usr/bin/env bash
# remark-gfm 4.0.1 beside cmark-gfm (cmarkgfm 2025.10.22): an escaped address is text in one, a link in the other.
#
# A good guess: a generator of Markdown (a model card with file and class names) that puts a backslash before every
# punctuation mark has switched all markup off, as CommonMark says, and what GitHub's own renderer shows is what every
# renderer of GitHub's dialect shows. What happens: remark-gfm, which Streamlit and many documentation sites use, looks
# for bare addresses once more in the finished tree, when backslashes are gone: www. and :// become links. Addresses of
# mail are links in both.
#
# Output seen:
#   http\:\/\/host\.example    cmark-gfm: text    remark-gfm: link to http://host.example
#   www\.host\.example         cmark-gfm: text    remark-gfm: link to http://www.host.example
#   me\@host\.example          cmark-gfm: link to mailto:me@host.example    remark-gfm: link to mailto:me@host.example
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q cmarkgfm==2025.10.22 2> /dev/null
cd "$place"
npm init -y > /dev/null
npm install --silent unified@11.0.5 remark-parse@11.0.0 remark-gfm@4.0.1 remark-rehype@11.1.2 rehype-stringify@10.0.1 > /dev/null
cat > names.json <<'JSON'
["http://host.example", "www.host.example", "me@host.example"]
JSON
cat > remark.mjs <<'JS'
import { readFileSync } from 'node:fs'
import { unified } from 'unified'
import remarkParse from 'remark-parse'
import remarkGfm from 'remark-gfm'
import remarkRehype from 'remark-rehype'
import rehypeStringify from 'rehype-stringify'
const renderer = unified().use(remarkParse).use(remarkGfm).use(remarkRehype).use(rehypeStringify)
const sources = JSON.parse(readFileSync('sources.json', 'utf8'))
console.log(JSON.stringify(sources.map((source) => String(renderer.processSync(source)))))
JS
"$place/venv/bin/python" - <<'PY'
import json
import re
import subprocess
from pathlib import Path

import cmarkgfm

names = json.loads(Path("names.json").read_text())
sources = [re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", name) for name in names]
Path("sources.json").write_text(json.dumps(sources))
remark = json.loads(subprocess.check_output(["node", "remark.mjs"]))


def kind(page):
    link = re.search(r'href="([^"]*)"', page)
    return f"link to {link[1]}" if link else "text"


for name, source, other in zip(names, sources, remark, strict=True):
    one = cmarkgfm.github_flavored_markdown_to_html(source)
    print(f"{source:<26} cmark-gfm: {kind(one)}    remark-gfm: {kind(other)}")
    assert kind(one) == (kind(other) if "@" in name else "text"), one
    assert kind(other).startswith("link"), other
    plain = cmarkgfm.github_flavored_markdown_to_html(name)
    assert kind(plain).startswith("link"), "without backslashes both make a link"
PY
