"""The store as a small read-only web site on the loopback interface.

A list of all tests and campaigns, made anew for each request, and below it the files as
they are. Nothing outside the store is shown, whatever the path or a link in it names; and
only this machine is answered, under no other name than its own, so that no page
elsewhere can read it through the browser.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jinja2
from dynamesis.harness.report.summary import word
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import RESULTS, TEST, Folder, runs
from dynamesis.harness.targets.system import EnvironmentFailed

HOST = "127.0.0.1"
_CAMPAIGN = "campaign.json"
#: Shown as text whatever their endings.
_TEXT = (".jsonl", ".log", ".yaml", ".json", ".md", ".txt")


def serve(store: Path, port: int, say: Callable[[str], None]) -> None:
    """Until KeyboardInterrupt. Raises EnvironmentFailed if the port is taken."""
    root = store.resolve()

    class Handler(_Handler):
        folder = root

    try:
        server = ThreadingHTTPServer((HOST, port), Handler)
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


class _Handler(SimpleHTTPRequestHandler):
    """GET and HEAD of files below `folder`, and of the list."""

    folder: Path

    def __init__(self, *args: Any) -> None:
        super().__init__(*args, directory=str(self.folder))

    def send_head(self) -> Any:
        if not self._own_name():
            return None
        if self.path == "/":
            return self._front()
        wanted = Path(self.translate_path(self.path)).resolve()
        if not wanted.is_relative_to(self.folder):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def _own_name(self) -> bool:
        name = (self.headers.get("Host") or "").partition(":")[0]
        if name not in (HOST, "localhost"):
            self.send_error(HTTPStatus.FORBIDDEN, "this answers to 127.0.0.1 and localhost only")
        return name in (HOST, "localhost")

    def _front(self) -> io.BytesIO:
        body = listing(self.folder).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return io.BytesIO(body)

    def guess_type(self, path: Any) -> str:
        return (
            "text/plain; charset=utf-8" if str(path).endswith(_TEXT) else super().guess_type(path)
        )

    def log_message(self, format: str, *args: Any) -> None:
        """The terminal is for the address alone."""


def listing(store: Path) -> str:
    """The page with all tests and campaigns, the newest first."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("store.html.j2").render(
        store=store, tests=_tests(store), campaigns=_campaigns(store)
    )


def _tests(store: Path) -> list[JsonObject]:
    return [_test(store, folder) for folder in reversed(list(runs(store)))]


def _test(store: Path, folder: Folder) -> JsonObject:
    test, results = folder.peek_json(TEST), folder.peek_json(RESULTS)
    anomalies = results.get("anomalies")
    return {
        "path": folder.path.relative_to(store),
        "name": test.get("name", folder.path.parent.name),
        "start": test.get("start", ""),
        "seed": test.get("seed", ""),
        "verdict": word(results["valid"]) if "valid" in results else "not judged",
        "anomalies": anomalies if isinstance(anomalies, dict) else {},
    }


def _campaigns(store: Path) -> list[JsonObject]:
    return sorted(_found(store), key=lambda each: str(each["start"]), reverse=True)


def _found(store: Path) -> Iterator[JsonObject]:
    for file in store.glob(f"campaigns/*/*/{_CAMPAIGN}"):
        if not file.parent.is_symlink():
            found = {"verdict": "damaged", "counts": {}, "start": ""}
            found |= Folder(file.parent).peek_json(file.name)
            path, name = file.parent.relative_to(store), file.parent.parent.name
            yield {"name": name, **found, "path": path, **_shown(found)}


def _shown(campaign: Mapping[str, Any]) -> dict[str, str]:
    """The outcome of a campaign, and the verdict by which it is coloured: of a zoo, in which a
    test with a bug in it should be invalid, what was caught."""
    zoo = campaign.get("zoo")
    if not isinstance(zoo, dict):
        return {"word": campaign["verdict"], "tint": campaign["verdict"]}
    alarms = f", {zoo['false_alarms']} false alarms" if zoo["false_alarms"] else ""
    word = f"{zoo['caught']} of {zoo['bugs']} caught{alarms}"
    return {"word": word, "tint": "valid" if zoo["success"] else "invalid"}
