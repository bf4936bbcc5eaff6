"""`dynamesis serve`: the store, all of it, nothing else, and on loopback only."""

from __future__ import annotations

import http.client
import json
import signal
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Run, Start

pytestmark = pytest.mark.cluster


def get(run: Run, path: str, method: str = "GET", host: str | None = None) -> tuple[int, str]:
    port = int(run.printed().partition("127.0.0.1:")[2].partition("/")[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=100)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    body = answer.read().decode(errors="replace")
    connection.close()
    return answer.status, body


def test_serve(start: Start, tmp_path: Path) -> None:
    test = tmp_path / "store/cart-cut/1"
    test.mkdir(parents=True)
    (test / "test.json").write_text(json.dumps({"name": "<cart>", "seed": 7}))
    (test / "results.json").write_text(json.dumps({"valid": False, "anomalies": {"lost-write": 3}}))
    (test / "report.html").write_text("the report")
    damaged = [tmp_path / "store/cart-cut/2", tmp_path / "store/campaigns/smoke/1"]
    for folder, name in zip(damaged, ("test.json", "campaign.json"), strict=True):
        folder.mkdir(parents=True)
        (folder / name).write_text('{"name": ')
    (tmp_path / "secret").write_text("mine")
    (test / "out").symlink_to(tmp_path / "secret")

    run = start("serve", "--port", "0")
    run.until(lambda: "ctrl-C" in run.printed(), "the address")
    status, page = get(run, "/")
    assert status == 200
    assert "&lt;cart&gt;" in page
    assert "lost-write (3)" in page
    assert "not judged" in page, "what is damaged hides nothing else"
    assert get(run, "/cart-cut/1/report.html") == (200, "the report")
    assert get(run, "/", "HEAD") == (200, "")
    for path in ("/../secret", "/%2e%2e/secret", "/cart-cut/1/out"):
        assert "mine" not in get(run, path)[1]
    assert get(run, "/", host="evil.example")[0] == 403
    assert get(run, "/cart-cut/1/report.html", host="evil.example:80")[0] == 403
    assert get(run, "/cart-cut/1/report.html", "PUT")[0] == 501

    taken = run.printed().partition("127.0.0.1:")[2].partition("/")[0]
    second = start("serve", "--port", taken)
    assert second.wait() == 4
    assert taken in second.printed()
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 0
