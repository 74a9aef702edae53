"""A proxy before a real server that loses, delays and spoils what passes, and writes down every request."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

PASS, LOSE_ANSWER, LOSE_REQUEST, SERVER_ERROR = "pass", "lose the answer", "lose the request", "answer 500"
ANSWER_LATE = "carry out after the caller has given up"
UNAUTHORIZED = "answer 401"


@dataclass
class FaultyProxy:
    """Forwards to `target`; `fault` decides by method and path what becomes of a request.

    Args:
        requests: method, path and body of everything that has arrived.
        lateness: seconds by which ANSWER_LATE holds a request back.
    """

    target: str
    fault: Callable[[str, str], str] = lambda method, path: PASS
    lateness: float = 4.0
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)

    def __enter__(self) -> "FaultyProxy":
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                proxy.requests.append((self.command, self.path, body))
                proxy._answer(self, body)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

            def log_message(self, *args: object) -> None:
                """The test's output stays its own."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        what = self.fault(handler.command, handler.path)
        handler.close_connection = True
        if what in (SERVER_ERROR, UNAUTHORIZED):
            handler.send_response(500 if what == SERVER_ERROR else 401)
            handler.send_header("content-length", "0")
            handler.send_header("connection", "close")
            handler.end_headers()
            return
        if what == LOSE_REQUEST:
            return
        if what == ANSWER_LATE:
            time.sleep(self.lateness)
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in ("host", "connection")}
        try:
            answer = httpx.request(handler.command, self.target + handler.path, headers=headers, content=body, timeout=600)
        except httpx.TransportError:  # the server is gone
            return
        if what == LOSE_ANSWER:
            return
        try:
            handler.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in ("content-encoding", "content-length", "transfer-encoding", "connection"):
                    handler.send_header(name, value)
            handler.send_header("content-length", str(len(answer.content)))
            handler.send_header("connection", "close")
            handler.end_headers()
            handler.wfile.write(answer.content)
        except OSError:
            """The caller has given up."""
