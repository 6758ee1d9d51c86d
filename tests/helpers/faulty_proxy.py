"""An HTTP proxy that fails like a network: it refuses or delays requests, and loses answers."""

import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FaultyProxy:
    """Forwards requests to a server on this machine, unless told to fail."""

    def __init__(self, port: int) -> None:
        self.down = False
        self.lose_answers_to: str | None = None
        """Part of the request's path"""
        self.num_lost = 0
        self.delay_seconds = 0.0
        self.refuse_with: tuple[int, bytes] | None = None
        """Status and body of every answer"""
        self.cut_bodies_to: int | None = None
        """Bytes of a request's body after which the connection is closed"""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # for clients that wait for 100 Continue

            def handle_any(self) -> None:
                outer.forward(self, port)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.uri = f"http://127.0.0.1:{self._server.server_port}"

    def forward(self, request: BaseHTTPRequestHandler, port: int) -> None:
        """Forward a request and its answer, or close the connection."""
        request.close_connection = True
        if self.down:
            return
        time.sleep(self.delay_seconds)
        size = int(request.headers.get("Content-Length", 0))
        if self.cut_bodies_to is not None and size > self.cut_bodies_to:
            request.rfile.read(self.cut_bodies_to)
            self.num_lost += 1
            return
        body = request.rfile.read(size)
        if self.refuse_with:
            self._answer(request, self.refuse_with[0], [], self.refuse_with[1])
            return
        server = http.client.HTTPConnection("127.0.0.1", port)
        server.request(request.command, request.path, body, dict(request.headers))
        answer = server.getresponse()
        content = answer.read()
        if self.lose_answers_to and self.lose_answers_to in request.path:
            self.num_lost += 1
            return
        self._answer(request, answer.status, answer.getheaders(), content)

    def _answer(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        headers: list[tuple[str, str]],
        content: bytes,
    ) -> None:
        size = str(len(content))
        request.send_response(status)
        for name, value in headers:
            if name.lower() == "content-length" and request.command == "HEAD":
                size = value
            elif name.lower() not in ("transfer-encoding", "content-length", "connection"):
                request.send_header(name, value)
        request.send_header("Content-Length", size)
        request.send_header("Connection", "close")
        request.end_headers()
        request.wfile.write(content)

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
