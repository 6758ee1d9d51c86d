"""Serves a run's report on this machine's loopback address; open pages follow the run."""

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from progan.pipeline.errors import ConfigError
from progan.pipeline.report.collect import collect
from progan.pipeline.report.page import render, render_facts
from progan.pipeline.run_folder import RunFolder

ADDRESS = "127.0.0.1"
DEFAULT_PORT = 8420
NAMES = {ADDRESS, "localhost"}
"""Of this server. Others are refused, so that a site whose name resolves to it cannot read it"""
DRAWN = ("config.yaml", "events.jsonl", "stages/*/metrics.jsonl", "stages/*/evaluation.json",
         "stages/*/samples", "stages/*/final")  # fmt: skip
"""What a page shows besides state and times"""


class ReportServer(ThreadingHTTPServer):
    """Renders the page again when the run has more to show."""

    daemon_threads = True

    def __init__(self, run: RunFolder, port: int = DEFAULT_PORT) -> None:
        """Port 0: any that is free. ConfigError if the port is taken."""
        self.run = run
        self._rendering = threading.Lock()
        self._page = "", b""
        try:
            super().__init__((ADDRESS, port), Handler)
        except OSError as error:
            raise ConfigError(
                f"--port {port}: {error.strerror}; choose another, or 0 for any that is free"
            ) from error

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{ADDRESS}:{self.server_port}/"

    def version(self) -> str:
        """Changes when there is more to draw."""
        files = sorted(file for pattern in DRAWN for file in self.run.path.glob(pattern))
        return f'"{hash(tuple((str(f), f.stat().st_mtime_ns) for f in files)):x}"'

    def page(self) -> tuple[str, bytes]:
        """The version of the page, and the page."""
        with self._rendering:
            if (version := self.version()) != self._page[0]:
                self._page = version, render(collect(self.run), live=True).encode()
            return self._page

    def facts(self) -> tuple[str, bytes]:
        """The version of the page, and the part of it that changes all the time."""
        version = self.version()
        return version, render_facts(collect(self.run, pictures=False)).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers for / and /facts."""

    server: ReportServer

    def do_GET(self) -> None:
        """Send the page, or a part of it."""
        answers = {"/": self.server.page, "/facts": self.server.facts}
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in NAMES:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        if self.path not in answers:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            version, content = answers[self.path]()
        except Exception as error:
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, explain=str(error))
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", version)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the page asks every few seconds."""
