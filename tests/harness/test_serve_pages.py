"""The store in a browser: real requests to a real server, of a store that may be hostile."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from dynamesis.cluster.config.config import Config, draw_secret, dump, write_private
from dynamesis.harness.serve.server import make_server
from dynamesis.harness.serve.tests import TestFilter, row_of

LOST = {"name": "lost-write", "key": "k1", "ops": [7], "why": "3.1 <is> gone", "data": {}}
HISTORY = "".join(
    json.dumps({"index": i, "time": i, "type": "ok", "id": f"3.{i}"}, separators=(",", ":")) + "\n"
    for i in range(450)
)


def put(store: Path, name: str, at: int, valid: Any = True, /, **test: Any) -> Path:
    folder = store / name / f"2026010{at}T000000.000Z"
    (folder / "nodes/n1").mkdir(parents=True)
    described = {"name": name, "target": "dynamo", "workload": name.partition("-")[0],
                 "nemesis": ["cut", "kill"], "seed": at, "start": f"2026-01-0{at}T00:00:00",
                 "spec": {"rate": at, "nodes": 5}, **test}  # fmt: skip
    anomalies = {} if valid is not False else {"lost-write": 1}
    results = {"valid": valid, "anomalies": anomalies, "stats": {"seconds": 1.5},
               "checkers": {"final": {"anomalies": [LOST] if anomalies else []}}}  # fmt: skip
    (folder / "test.json").write_text(json.dumps(described))
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "history.jsonl").write_text(HISTORY)
    (folder / "report.html").write_text("<html><body><script>1</script></body></html>")
    event = {"mono": 5, "node": "n1", "event": "stored", "key": "k1", "request": "3.250"}
    (folder / "nodes/n1/node.log").write_text(json.dumps(event) + "\n")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    put(root, "cart-cut", 1)
    put(root, "register-cut", 2, False)
    put(root, "set-cut", 3, "unknown", target="etcd")
    return root


class Site:
    """What a server of this store answers."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str, host: str = "127.0.0.1", method: str = "GET") -> tuple[int, str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host)
        connection.endheaders()
        answer = connection.getresponse()
        found = answer.status, answer.read().decode(errors="replace"), answer.headers
        connection.close()
        return found


@pytest.fixture
def site(store: Path) -> Iterator[Site]:
    server = make_server(store, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield Site(server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_front_opens_on_the_newest_failure_and_lists_newest_first(site: Site) -> None:
    status, page, headers = site.get("/")
    assert status == 200
    assert "The newest failure" in page
    assert page.index("set-cut</a>") < page.rindex("register-cut</a>") < page.index("cart-cut</a>")
    assert "script-src" not in headers["Content-Security-Policy"]
    assert "<script" not in page


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("verdict=invalid", ["register-cut"]),
        ("target=etcd", ["set-cut"]),
        ("workload=cart", ["cart-cut"]),
        ("nemesis=kill", ["set-cut", "register-cut", "cart-cut"]),
        ("nemesis=ki", []),
        ("since=2026-01-02&until=2026-01-02", ["register-cut"]),
    ],
)
def test_filters(site: Site, query: str, names: list[str]) -> None:
    _, page, _ = site.get(f"/?{query}")
    listed = re.findall(r'<td><a href="/-/test/[^"]*">([^<]*)</a>', page)
    assert listed == names


def test_links_lead_from_report_to_lines_to_node_logs_and_back(site: Site) -> None:
    path = "register-cut/20260102T000000.000Z"
    _, report, headers = site.get(f"/{path}/report.html")
    assert f'href="/-/history/{path}"' in report
    policy = headers["Content-Security-Policy"]
    assert "script-src 'unsafe-inline'" in policy
    assert "sandbox allow-scripts" in policy
    _, test, _ = site.get(f"/-/test/{path}")
    assert f'/{path}/report.html#anomaly-0"' in test
    assert f'/-/history/{path}?from=2#line-7"' in test
    assert "3.1 &lt;is&gt; gone" in test
    _, lines, _ = site.get(f"/-/history/{path}?from=2")
    assert '<li id="line-7">' in lines
    assert f"/-/nodes/{path}?request=3.7" in lines
    _, logs, _ = site.get(f"/-/nodes/{path}?request=3.250")
    assert f'/-/history/{path}?id=3.250"' in logs
    _, back, _ = site.get(f"/-/history/{path}?id=3.250")
    assert '<li id="line-250">' in back
    assert '<li id="line-249">' not in back
    assert f'href="/{path}/report.html"' in back


def test_a_test_of_a_campaign_is_listed_once(site: Site, store: Path) -> None:
    night = "campaigns/mini/20260104T000000.000Z"
    put(store, f"{night}/runs/0001/bulk-cut", 4)
    (store / "campaigns/mini/latest").symlink_to("20260104T000000.000Z")
    (store / night / "runs/0001/bulk-cut/latest").symlink_to("20260104T000000.000Z")
    links = re.findall(r'href="/-/test/([^"]*bulk-cut[^"]*)"', site.get("/")[1])
    assert links == [f"{night}/runs/0001/bulk-cut/20260104T000000.000Z"]


@pytest.mark.parametrize("command", ["simulations", "simulations-exhaustive"])
def test_what_a_simulation_found_is_listed_once(site: Site, store: Path, command: str) -> None:
    made = put(store, "register-cut", 4, False)
    run = store / command / "20260104T000000.000Z"
    run.mkdir(parents=True)
    made.rename(run / "1-lost-write")
    (store / command / "latest").symlink_to(run.name)
    links = re.findall(r'href="/-/test/([^"]*1-lost-write[^"]*)"', site.get("/")[1])
    found = f"{command}/{run.name}/1-lost-write"
    assert set(links) == {found}
    code, page, _ = site.get(f"/-/test/{found}")
    assert code == 200
    assert "lost-write" in page


def test_two_tests_side_by_side(site: Site) -> None:
    one, other = "cart-cut/20260101T000000.000Z", "register-cut/20260102T000000.000Z"
    _, page, _ = site.get(f"/-/compare?test={one}&test={other}")
    assert '<tr class="differs"><th scope="row">verdict</th><td>valid</td><td>invalid</td>' in page
    assert '<th scope="row">--rate</th><td>1</td><td>2</td>' in page
    assert "--nodes" not in page
    assert site.get("/-/compare?test=nothing")[0] == 200


def test_nights_and_the_zoo(site: Site, store: Path) -> None:
    for name, failed in (("1", 0), ("2", 1)):
        folder = store / "campaigns/mine" / name
        folder.mkdir(parents=True)
        runs = [{"verdict": "invalid" if failed else "valid"}]
        found = {"start": f"2026-01-0{name}", "verdict": "valid", "counts": {"valid": 1},
                 "cells": [{"cell": "cart/cut/default/1", "runs": runs}]}  # fmt: skip
        (folder / "campaign.json").write_text(json.dumps(found))
    bugs = [{"name": "otter", "caught": True}, {"name": "stoat", "caught": False}]
    (store / "campaigns/zoo/1").mkdir(parents=True)
    (store / "campaigns/zoo/1/zoo.json").write_text(json.dumps({"mode": "suited", "bugs": bugs}))
    _, nights, _ = site.get("/-/campaign/mine")
    assert "<svg" in nights
    assert "<td>50%</td><td>1 of 2</td>" in nights
    _, zoo, _ = site.get("/-/zoo")
    assert re.search(r"otter.*verdict valid.>caught", zoo)
    assert re.search(r"stoat.*verdict invalid.>escaped", zoo)


def test_only_this_machine_is_answered(site: Site) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", ""):
        assert site.get("/", host)[0] == 403
    assert site.get("/", f"localhost:{site.port}")[0] == 200
    assert site.get("/", method="POST")[0] == 501


def test_no_secret_is_shown(site: Site, store: Path) -> None:
    """The port answers all users of this machine; the files are for their owner."""
    secret = draw_secret()
    address = "127.0.0.1:7101"
    config = Config("n1", address, address, ("n1",), secret=secret, former_secret='a"b')
    state = {"admins": {"n1": address}, "secret": secret}
    for name, content in (
        ("config.json", dump(config)),
        ("config.json.part", dump(config)),
        ("cluster.json", json.dumps(state).encode()),
    ):
        write_private(store / name, content)
        status, shown, _ = site.get(f"/{name}")
        assert (status, address in shown) == (200, True)
        assert secret not in shown
        assert 'a\\"b' not in shown
        assert json.loads(shown)["secret"] == "not shown"
    (store / "a.txt").symlink_to(store / "cluster.json")
    assert secret not in site.get("/a.txt")[1]


def test_no_path_upsets_it(site: Site, store: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden")
    (store / "out").symlink_to(tmp_path)
    (store / "loop").symlink_to("loop")
    os.mkfifo(store / "pipe.html")
    kinds = ("", "-/test/", "-/history/", "-/nodes/", "-/files/", "-/campaign/")
    names = ("../secret", "out/secret", "%2e%2e/secret", "..%2fsecret", "a%00b", "loop", "loop/x",
             "pipe.html", "%ff%fe", "x" * 5000, "[", "//x", "%")  # fmt: skip
    for path in (f"/{kind}{name}" for kind in kinds for name in names):
        status, body, _ = site.get(path)
        assert status in (302, 404, 200), path[:40]
        assert "hidden" not in body
    assert site.get("/out/secret")[0] == 404
    with socket.create_connection(("127.0.0.1", site.port)) as raw:
        raw.sendall(b"GET http://[x/ HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert b"400" in raw.recv(100)
    assert site.get("/")[0] == 200


@pytest.mark.parametrize("content", ['"x"', "[1]", "{", "[" * 5000, '{"valid": {}, "stats": 3}',
    '{"anomalies": {"<b>": "<i>"}, "checkers": {"a": 1, "b": {"anomalies": [{"ops": 5}]}}}',
    '{"valid": false, "anomalies": {}, "evidence": {"faults": 3}, "name": "<b>"}'])  # fmt: skip
def test_nor_does_any_content(site: Site, store: Path, content: str) -> None:
    folder = put(store, "mean-cut", 4)
    for name in ("test.json", "results.json"):
        (folder / name).write_text(content)
    for path in ("/", "/-/test/mean-cut/latest", f"/-/test/{folder.relative_to(store)}"):
        status, page, _ = site.get(path)
        assert status in (200, 404), path
        assert "<b>" not in page
    (folder / "results.json").unlink()
    os.mkfifo(folder / "results.json")
    assert site.get("/")[0] == 200


def test_fifos_in_place_of_any_file(site: Site, store: Path) -> None:
    folder = put(store, "mean-cut", 4)
    for name in ("history.jsonl", "report.html", "nodes/n1/node.log"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
    path = folder.relative_to(store)
    for kind in ("history", "nodes", "test"):
        assert site.get(f"/-/{kind}/{path}")[0] == 200
    assert site.get(f"/{path}/report.html")[0] == 404


def test_names_are_text(site: Site, store: Path) -> None:
    folder = put(store, "<img src=x>-cut", 4, name="<img src=x>")
    _, page, _ = site.get("/")
    assert "<img" not in page
    status, page, _ = site.get(f"/-/test/{quote(str(folder.relative_to(store)))}")
    assert status == 200
    assert "<img" not in page


def test_a_test_that_was_not_judged(tmp_path: Path) -> None:
    folder = put(tmp_path, "cart-cut", 1)
    (folder / "results.json").unlink()
    row = row_of(tmp_path, folder)
    assert (row.verdict, row.seconds, row.evidence) == ("not judged", None, "")
    assert TestFilter(verdict="not judged")(row)
