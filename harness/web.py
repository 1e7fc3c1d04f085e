"""Toy web servers on loopback: they say their name, and fail or dawdle when told to."""

import http.server
import threading
import time
from collections import Counter


class WebServer:
    """One HTTP/1.1 server that answers every request with its name."""

    def __init__(self, name: str, port: int = 0, host: str = "127.0.0.1") -> None:
        """Listen at once; `port` 0 takes a free one."""
        self.name = name
        self.status = 200
        """Status of every answer but those to `/health`."""
        self.health = 200
        """Status of answers to `/health`."""
        self.delay_s = 0.0
        """Seconds to wait before an answer."""
        self.headers: dict[str, str] = {}
        """Headers added to every answer."""
        self.requests: Counter[str] = Counter()
        """How often each path was asked for."""
        self.last_headers: dict[str, str] = {}
        """What the last request but those to `/health` carried, names in lower case."""
        self._server = _Server((host, port), _Handler, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name=name)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        """Where it listens, as `127.0.0.1:8080`."""
        return f"{self._server.server_address[0]!s}:{self.port}"

    def stop(self) -> None:
        """Stop listening and close all connections."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> "WebServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # Keep-alive connections would otherwise keep `server_close` waiting.
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type, web: WebServer) -> None:
        self.web = web
        super().__init__(address, handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are part of the tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    # One segment for headers and body, as real servers do it; else each answer takes 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer with the server's name."""
        web = self.server.web
        web.requests[self.path] += 1
        if web.delay_s:
            time.sleep(web.delay_s)
        healthy = self.path == "/health"
        if not healthy:
            web.last_headers = {name.lower(): value for name, value in self.headers.items()}
        body = web.name.encode()
        self.send_response(web.health if healthy else web.status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        for name, value in web.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Read the body, then answer as to GET."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Write no line per request: the tests' output is for failures."""
