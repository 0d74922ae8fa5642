#!/usr/bin/env bash
# huggingface_hub 2.4.0: a download that failed starts over at the next call; nothing of it is kept.
#
# A good guess (older versions kept a part file, and `resume_download` is deprecated "because downloads always resume
# when possible"): calling hf_hub_download again goes on where the last call broke off. What happens: one call resumes
# its own part file a few times (requests with a Range header); once it gives up, the part is deleted, and the next call
# asks for the whole file. Whoever downloads gigabytes over a poor line has to resume by other means.
#
# Output seen, for a file of 25 MiB whose connection breaks after 20 MiB:
#   first call: RemoteProtocolError; ranges asked for: whole file, bytes=20971520-, ... (five more times)
#   bytes left on disk: 0
#   second call: ranges asked for: whole file
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q huggingface_hub==2.4.0 2> /dev/null
HF_HOME="$place/hub" HF_HUB_DISABLE_XET=1 HF_HUB_DISABLE_PROGRESS_BARS=1 HF_HUB_DISABLE_TELEMETRY=1 \
    HF_HUB_DOWNLOAD_TIMEOUT=2 "$place/venv/bin/python" - 2> /dev/null <<'PY'
import hashlib
import http.server
import os
import pathlib
import socket
import threading

MIB = 2**20
CONTENT = bytes(range(256)) * (25 * MIB // 256)
DIGEST, COMMIT = hashlib.sha256(CONTENT).hexdigest(), "0" * 39 + "1"
ranges: list[str] = []
broken = threading.Event()


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def headers_of(self, status, size, start=0):
        self.send_response(status)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{DIGEST}"')
        self.send_header("Content-Length", str(size))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()

    def do_HEAD(self):
        self.headers_of(200, len(CONTENT))

    def do_GET(self):
        wanted = self.headers.get("Range", "")
        ranges.append(wanted or "whole file")
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        self.headers_of(206 if wanted else 200, len(CONTENT) - start, start)
        self.wfile.write(CONTENT[start : 20 * MIB] if broken.is_set() else CONTENT[start:])
        if broken.is_set():
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
import huggingface_hub

print("huggingface_hub", huggingface_hub.__version__)
broken.set()
try:
    huggingface_hub.hf_hub_download("some/model", "model.safetensors", revision=COMMIT)
except Exception as error:
    print(f"first call: {type(error).__name__}; ranges asked for: {', '.join(ranges)}")
else:
    raise SystemExit("the broken download succeeded")
assert ranges[0] == "whole file" and set(ranges[1:]) == {"bytes=20971520-"}, ranges
left = sum(p.stat().st_size for p in pathlib.Path(os.environ["HF_HOME"]).rglob("*") if p.stat().st_size > MIB)
print("bytes left on disk:", left)
broken.clear()
ranges.clear()
path = huggingface_hub.hf_hub_download("some/model", "model.safetensors", revision=COMMIT)
print("second call: ranges asked for:", ", ".join(ranges))
assert pathlib.Path(path).read_bytes() == CONTENT
assert left == 0 and ranges == ["whole file"]
PY
