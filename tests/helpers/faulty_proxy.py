"""An HTTP proxy that fails like a network: it refuses requests or loses answers."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FaultyProxy:
    """Forwards requests to a server on this machine, unless told to fail."""

    def __init__(self, port: int) -> None:
        self.down = False
        self.lose_answers_to: str | None = None
        """Part of the request's path"""
        self.num_lost = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                outer.forward(self, port)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.uri = f"http://127.0.0.1:{self._server.server_port}"

    def forward(self, request: BaseHTTPRequestHandler, port: int) -> None:
        """Forward a request and its answer, or close the connection."""
        request.close_connection = True
        if self.down:
            return
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        server = http.client.HTTPConnection("127.0.0.1", port)
        server.request(request.command, request.path, body, dict(request.headers))
        answer = server.getresponse()
        content = answer.read()
        if self.lose_answers_to and self.lose_answers_to in request.path:
            self.num_lost += 1
            return
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
