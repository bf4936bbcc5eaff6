"""Target etcd, on real nodes; skipped where etcd is not installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.targets.etcd.forward import rewritten
from dynamesis.harness.targets.etcd.target import FORWARD

import dynamesis
from tests.enough import TIMES, run_enough

installed = pytest.mark.skipif(
    shutil.which("etcd") is None, reason="etcd is not installed (Debian: apt install etcd-server)"
)


def run(tmp_path: Path, faults: list[dict[str, Any]], **options: Any) -> dynamesis.TestResult:
    schedule = tmp_path / "faults.yaml"
    schedule.write_text(json.dumps({"faults": faults}))
    given = {"target": "etcd", "time_limit": 8, "seed": 1, "links": "embedded"} | options
    return run_enough(tmp_path, schedule=schedule, **given)


def test_a_request_to_a_proxy_becomes_one_to_its_server() -> None:
    asked = b"POST http://192.0.2.2:2380/raft?x=1 HTTP/1.1\r\nHost: 192.0.2.2:2380\r\n\r\nbody"
    assert rewritten(asked) == (
        "192.0.2.2:2380",
        b"POST /raft?x=1 HTTP/1.1\r\nConnection: close\r\nHost: 192.0.2.2:2380\r\n\r\nbody",
    )
    with pytest.raises(ValueError, match="not a request to a proxy"):
        rewritten(b"GET /raft HTTP/1.1\r\n\r\n")


class Named(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{self.server.server_port} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silent."""


ASKS = """
import urllib.error, urllib.request
for place in ("192.0.2.1:2380/a", "192.0.2.2:2380/b", "192.0.2.3:2380/c"):
    try:
        print(urllib.request.urlopen(f"http://{place}", timeout=5).read().decode())
    except urllib.error.HTTPError as error:
        print(error.code)
"""


def test_what_a_command_asks_for_goes_where_the_table_has_it() -> None:
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Named) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    ports = [server.server_port for server in servers]
    table = {f"192.0.2.{i}:2380": f"127.0.0.1:{port}" for i, port in enumerate(ports, 1)}
    command = [sys.executable, "-I", "-S", str(FORWARD), json.dumps(table),
               sys.executable, "-c", ASKS]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
    assert done.stdout.splitlines() == [f"{ports[0]} /a", f"{ports[1]} /b", "403"]


FOUR: list[dict[str, Any]] = [
    {"start": 0.5, "stop": 2.0, "member": "kill.one", "nodes": ["n1"]},
    {"start": 2.5, "stop": 4.0, "member": "pause.one", "nodes": ["n2"]},
    {"start": 4.5, "stop": 6.0, "member": "cut.one-way", "kind": "black-hole",
     "grudge": {"n3": ["n1"]}},
    {"start": 6.2, "stop": 7.5, "member": "cut.one", "kind": "refused",
     "grudge": [["n2"], ["n1", "n3"]]},
]  # fmt: skip


def took_effect(result: dynamesis.TestResult) -> set[str]:
    return {fault["kind"] for fault in result.results["evidence"]["faults"] if fault["took_effect"]}


@installed
@pytest.mark.cluster
def test_registers_are_linearizable_under_cuts_kills_and_pauses(tmp_path: Path) -> None:
    """A cut of one direction of one pair as well: each is proved by the dialling node."""
    for times in TIMES:  # nodes of a busy machine notice later that they are cut off
        store = tmp_path / f"{times}"
        store.mkdir()
        faults = [{**fault, "start": times * fault["start"], "stop": times * fault["stop"]}
                  for fault in FOUR]  # fmt: skip
        result = run(store, faults, workload="register", time_limit=8 * times)
        took = took_effect(result)
        if took == {fault["member"] for fault in FOUR}:
            break
        assert result.verdict is not dynamesis.Verdict.INVALID, result.explain()
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    assert took == {"kill.one", "pause.one", "cut.one-way", "cut.one"}


@installed
@pytest.mark.cluster
def test_reads_of_one_node_are_stale_where_it_is_cut_off(tmp_path: Path) -> None:
    options = {"workload": "register", "option": ["reads=0.8"], "keys": 2,
               "target_option": ["reads=serializable"]}  # fmt: skip
    faults = [
        {"start": start, "stop": start + 2.0, "member": "cut.one", "kind": "refused",
         "grudge": [[node], [other for other in ("n1", "n2", "n3") if other != node]]}
        for start, node in ((0.5, "n3"), (3.0, "n1"), (5.5, "n2"))
    ]  # fmt: skip
    result = run(tmp_path, faults, **options)
    assert result.verdict is dynamesis.Verdict.INVALID, result.explain()
    assert set(result.results["anomalies"]) == {"nonlinearizable"}


@installed
@pytest.mark.cluster
@pytest.mark.parametrize(
    "workload",
    [
        *("set", "append"),
        *(
            pytest.param(each, marks=pytest.mark.nightly)
            for each in ("counter", "rw", "bank", "long-fork")
        ),
    ],
)
def test_each_workload_is_spoken(tmp_path: Path, workload: str) -> None:
    result = run(tmp_path, [], workload=workload, time_limit=3)
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
