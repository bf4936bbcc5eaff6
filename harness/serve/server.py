"""The store as a small read-only web site on the loopback interface.

Python's own HTTP server does: there are ten pages, all read-only, for one reader on this machine,
and what a framework would add (sessions, forms, middleware) is not wanted; what matters here,
which files are opened and which headers are sent, is short enough to be read.

Nothing outside the store is shown, whatever the path or a link in it names, and only regular files
are opened. Only this machine is answered, under no other name than its own, so that no page
elsewhere can read it through the browser. A store may have been made elsewhere: our own pages run
no scripts at all, and those of a report, which draw its plots, run in a sandbox: they reach neither
the network nor the other pages.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import shutil
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from dynamesis.harness.results.results import REPORT
from dynamesis.harness.serve.files import inside, opened, without_secret
from dynamesis.harness.serve.pages import Pages
from dynamesis.harness.targets.system import EnvironmentFailed

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
#: Below it lie our own pages, beside the files of the store.
OWN = "/-/"
_BASE = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; img-src 'self' data:"
#: What a page may do: ours; a report with its scripts; other HTML of the store; all else.
POLICIES = {
    "own": f"{_BASE}; style-src 'self'; form-action 'self'",
    "report": (
        f"{_BASE}; script-src 'unsafe-inline'; style-src 'unsafe-inline'; form-action 'none'; "
        "sandbox allow-scripts"
    ),
    "page": f"{_BASE}; style-src 'unsafe-inline'; form-action 'none'",
    "file": f"{_BASE}; form-action 'none'; sandbox",
}
_HTML, _TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"
#: Shown as text whatever their endings.
_TEXTS = (".jsonl", ".log", ".yaml", ".json", ".md", ".txt", ".xml", ".prom")
#: bytes of a report beyond which it is shown as it is, without the way back above it
_REPORT = 64 << 20


def serve(store: Path, port: int, say: Callable[[str], None]) -> None:
    """Until KeyboardInterrupt. Raises EnvironmentFailed if the port is taken."""
    try:
        server = make_server(store, port)
    except OSError as failure:
        if failure.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise EnvironmentFailed(
            f"port {port} cannot be had ({failure.strerror}); choose another with --port"
        ) from failure
    with server:
        say(f"http://{HOST}:{server.server_port}/ shows {store}; ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def make_server(store: Path, port: int) -> ThreadingHTTPServer:
    """A server that has its port, and answers once it is started. Raises OSError."""

    class Handler(_Handler):
        root = store.resolve()
        pages = Pages(store)

    return ThreadingHTTPServer((HOST, port), Handler)


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD."""

    root: Path
    pages: Pages
    #: s without a byte after which a connection is given up
    timeout = 30

    def do_GET(self) -> None:
        try:
            self._answer()
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True
        except Exception:  # a store may hold anything; the others are still shown
            log.exception("%r", self.path[:200])
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "this page cannot be made")

    do_HEAD = do_GET

    def _answer(self) -> None:
        name = (self.headers.get("Host") or "").partition(":")[0]
        if name not in (HOST, "localhost"):
            self._refuse(HTTPStatus.FORBIDDEN, "this answers to 127.0.0.1 and localhost only")
            return
        try:
            parts = urlsplit(self.path)
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST, "no such path")
            return
        path = unquote(parts.path, errors="surrogateescape")
        query = parse_qs(parts.query, max_num_fields=20) if parts.query.count("&") < 20 else {}
        if path == f"{OWN}style.css":
            self._send(self.pages.style(), "text/css; charset=utf-8", "own")
        elif path == "/" or path.startswith(OWN):
            self._own(path, query)
        else:
            self._stored(path)

    def _own(self, path: str, query: dict[str, list[str]]) -> None:
        kind, _, rest = path.removeprefix(OWN).partition("/")
        first = {name: values[0] for name, values in query.items()}
        pages = self.pages
        made: dict[str, Callable[[], str | None]] = {
            "test": lambda: pages.test(rest),
            "history": lambda: pages.history(rest, first),
            "nodes": lambda: pages.nodes(rest, first),
            "files": lambda: pages.files(rest),
            "campaign": lambda: pages.campaign(rest),
            "compare": lambda: pages.compare(query.get("test", [])[:2]),
            "zoo": pages.zoo,
        }
        page = pages.front(first) if path == "/" else made.get(kind, lambda: None)()
        if page is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")
        else:
            self._send(page, _HTML, "own")

    def _stored(self, path: str) -> None:
        """A file of the store as it is, or what is in a folder."""
        at = inside(self.root, path)
        if at is not None and at.is_dir():
            self._redirect(at)
            return
        stored = None if at is None else opened(at)
        if stored is None or at is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such file")
            return
        with stored, without_secret(at.name, stored) as file:
            kind, policy = _kind(at.name)
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            if policy == "report" and size <= _REPORT:
                self._send(self._with_bar(file.read(), path), kind, policy)
                return
            self._head(HTTPStatus.OK, kind, policy, size)
            if self.command != "HEAD":
                shutil.copyfileobj(file, self.wfile)

    def _with_bar(self, report: bytes, path: str) -> bytes:
        """A report with links to the pages about it above it."""
        folder = path.strip("/").rpartition("/")[0]
        before, body, after = report.partition(b"<body>")
        return before + body + self.pages.bar(folder).encode(errors="replace") * bool(body) + after

    def _redirect(self, folder: Path) -> None:
        self.send_response(HTTPStatus.FOUND)
        self.send_header(
            "Location", f"{OWN}files/{quote(os.fsencode(folder.relative_to(self.root)))}"
        )
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: str | bytes, kind: str, policy: str) -> None:
        body = content if isinstance(content, bytes) else content.encode(errors="replace")
        self._head(HTTPStatus.OK, kind, policy, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        body = f"{why}\n".encode()
        self._head(status, _TEXT, "file", len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str, policy: str, size: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.send_header("Content-Security-Policy", POLICIES[policy])
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """The terminal is for the address alone."""


def _kind(name: str) -> tuple[str, str]:
    """The type and the policy of a file, by its name."""
    if name.endswith(".html"):
        return _HTML, "report" if name == REPORT else "page"
    if name.endswith(".svg"):
        return "image/svg+xml", "page"
    return (_TEXT if name.endswith(_TEXTS) else "application/octet-stream"), "file"
