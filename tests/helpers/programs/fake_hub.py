"""A Hugging Face Hub on this machine: repositories of small files, to read and to push to."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "c" * 40


def digest(content: bytes) -> str:
    """What the Hub tells versions of a file apart by."""
    return hashlib.sha256(content).hexdigest()


class Hub:
    """What the server holds; `url` is for HF_ENDPOINT."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.files: dict[str, dict[str, bytes]] = {}
        """By repository, by name"""
        self.created: list[dict[str, Any]] = []
        """Bodies of the requests that made repositories"""

    def environment(self, home: Path) -> dict[str, str]:
        """Variables with which a process uses this Hub, and a cache of its own."""
        return {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_TOKEN": "hf_fake",
                "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._file(body=False)

    def do_GET(self) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._model("/".join(parts[2:4]), as_tree="tree" in parts)
        else:
            self._file(body=True)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts == ["api", "repos", "create"]:
            made = json.loads(body)
            self.hub.created.append(made)
            self._json({"url": f"{self.hub.url}/{made.get('organization', 'user')}/{made['name']}"})
        elif "preupload" in parts:
            names = [file["path"] for file in json.loads(body)["files"]]
            self._json({"files": [
                {"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names
            ]})  # fmt: skip
        elif "commit" in parts:
            name = "/".join(parts[2:4])
            lines = [json.loads(line) for line in body.splitlines()]
            self.hub.files[name] = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            url = f"{self.hub.url}/{name}/commit/{COMMIT}"
            self._json({"commitUrl": url, "commitOid": COMMIT})
        elif "validate-yaml" in parts:
            self._json({"errors": [], "warnings": []})
        else:
            self.send_error(404)

    def _model(self, name: str, *, as_tree: bool) -> None:
        if name not in self.hub.files:
            self._missing("RepoNotFound")
            return
        files = self.hub.files[name].items()
        tree = [
            {"type": "file", "path": path, "size": len(content), "oid": digest(content)}
            for path, content in files
        ]
        siblings = [{"rfilename": path} for path, _ in files]
        self._json(tree if as_tree else {"id": name, "sha": COMMIT, "siblings": siblings})

    def _file(self, *, body: bool) -> None:
        user, name, _, _revision, *path = self.path.partition("?")[0].strip("/").split("/")
        content = self.hub.files.get(f"{user}/{name}", {}).get("/".join(path))
        if content is None:
            self._missing("EntryNotFound")
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{digest(content)}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _json(self, document: Any) -> None:
        content = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@contextmanager
def fake_hub() -> Iterator[Hub]:
    """A running Hub."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    hub = _Handler.hub = Hub(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
