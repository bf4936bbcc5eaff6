"""The messages of a simulated test: written beside its history, and drawn as a sequence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History, Op, Sibling
from dynamesis.harness.check.drawn import save_pictures
from dynamesis.harness.report.pictures.causal import causal_picture
from dynamesis.harness.report.pictures.sequence import (
    SentMessage,
    read_messages,
    sequence_picture,
)
from dynamesis.harness.results.results import MESSAGES, Folder

from dynamesis import Verdict, run_test


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated test that loses a write."""
    result = run_test(
        world="simulated", workload="register", nemesis="cut", bug="ctx-only-increment",
        time_limit=2, seed=7, store=tmp_path_factory.mktemp("store"),
    )  # fmt: skip
    assert result.verdict is Verdict.INVALID, result.explain()
    return result.folder


def messages_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / MESSAGES).read_text().splitlines()]


def test_every_acknowledged_write_is_followed_from_client_to_replicas_and_back(lost: Path) -> None:
    history = [json.loads(line) for line in (lost / "history.jsonl").read_text().splitlines()]
    puts = [e for e in history if e["f"] == "put" and e["type"] == "ok"]
    messages = messages_of(lost)
    assert puts
    for put in puts:
        of_it = [m for m in messages if m["request"] == put["id"]]
        kinds = {m["kind"] for m in of_it}
        assert {"Put", "ReplicaPut", "ReplicaPutReply", "PutReply"} <= kinds, put
        last = [m for m in of_it if m["to"] == "client" and m["kind"] == "PutReply"][-1]
        assert messages[last["answers"]]["kind"] == "Put"
        assert 0 <= last["sent"] <= last["received"] <= put["time"]


def test_a_message_that_a_cut_takes_did_not_come(lost: Path) -> None:
    assert any("received" not in message for message in messages_of(lost))


def test_the_lost_write_and_what_took_its_place_are_drawn(lost: Path, tmp_path: Path) -> None:
    made = {path.name: path.read_text() for path in save_pictures(Folder(lost), tmp_path)}
    sequences = [svg for name, svg in made.items() if name.startswith("lost-write-")
                 and name.endswith("messages.svg")]  # fmt: skip
    assert sequences
    svg = ElementTree.fromstring(sequences[0])
    by_class: dict[str, list[str]] = {}
    for text in (e for e in svg.iter() if e.tag.endswith("text")):
        by_class.setdefault(text.get("class", ""), []).append(text.text or "")
    assert "clients" in by_class["bold"]
    assert any(words.startswith("put ") for words in by_class["halo bold"])
    assert any(words.startswith("put ") for words in by_class["halo bad"])
    assert any("which took its place" in words for words in by_class["soft"])
    arrows = [e for e in svg.iter() if e.tag.endswith("polygon")]
    words = [text for cls, texts in by_class.items() if "halo" in cls for text in texts]
    assert len(arrows) == len(words)


def test_lines_without_a_message_are_skipped(tmp_path: Path) -> None:
    good = {"sent": 5, "from": "client", "to": "n1", "key": "k", "words": "put 1.0",
            "request": "1.0", "received": 9}  # fmt: skip
    lines = ["", "{", "[]", '{"sent":"x"}', json.dumps({**good, "key": "other"}),
             json.dumps(good), '{"sent": 1, "from": "\\ud800"']  # fmt: skip
    path = tmp_path / MESSAGES
    path.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    found = read_messages(path, ["k", None])
    assert [(m.sent, m.source, m.dest) for m in found] == [(5, "client", "n1")]
    assert read_messages(tmp_path / "none", ["k"]) == []
    history = History.of([Op(process=1, f="put", key="k", id="1.0", basis=None)])
    anomaly = {"name": "lost-write", "key": "k", "ops": [0], "data": {"id": "1.0"}}
    assert sequence_picture(history, found, anomaly) is not None
    assert sequence_picture(history, found, {**anomaly, "key": "unknown"}) is None


def test_the_pictures_of_a_place_without_copy_take_names_for_copies() -> None:
    """A lost write has under `copies` what took each of them, a lost hint the nodes that have one:
    found in a storm, where the pictures failed."""
    ops = [Op(process=1, f="put", key="k", id="1.0", basis=None),
           Op(process=1, type="ok", f="put", key="k", id="1.0", node="n1"),
           Op(process=2, f="get", key="k"),
           Op(process=2, type="ok", f="get", key="k", siblings=[Sibling("1.0", 1)])]  # fmt: skip
    run = Run(History.of(ops))
    data = {"id": "1.0", "primary": "n2", "copies": ["n1", "n3"], "hints": {"n4": ["n5"]}}
    anomaly = {"name": "lost-hint", "key": "k", "ops": [0, 1, 3], "data": data}
    message = SentMessage(5, "client", "n1", "k", "put 1.0", request="1.0", received=9)
    assert causal_picture(run.order, anomaly) is not None
    assert sequence_picture(run.history, [message], anomaly) is not None
