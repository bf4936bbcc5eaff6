"""A test whose every text was chosen to break its report: markup, what ends
a script, control characters, 1 MB strings, in names, keys, values, ids, errors and logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dynamesis.checkers.history.history import Op, OpError, Sibling, encode
from dynamesis.harness.check.evaluate import judge, save
from dynamesis.harness.results.results import HISTORY, MESSAGES, REPORT, TEST, Folder

MARKUP = '"><img src=x onerror="window.hacked=1"><script>window.hacked=2</script><!--'
ENDING = "</script></style></svg><script>window.hacked=3</script>]]>{{ 7 * 7 }}"
CONTROL = "\x00\x07\x1b[31m\x7f\u202e\ufffe\u2028 \ud800"
LONG = "<b>x</b>" * (1 << 17)
TEXTS = (MARKUP, ENDING, CONTROL.replace("\ud800", ""), LONG)


def _ops() -> Iterator[Op]:
    """For each text a key, on which a write is lost that has the text as id and value."""
    yield Op(type="info", process="harness", f="phase", value="load")
    for text in TEXTS:
        kept, lost = f"1.{text}", f"2.{text}"
        yield Op(process=1, f="put", key=text, id=kept, value={text: [text]}, basis=None)
        yield Op(type="ok", process=1, f="put", key=text, id=kept, node=text)
        yield Op(process=2, f="put", key=text, id=lost, value=text, basis=None)
        yield Op(type="ok", process=2, f="put", key=text, id=lost, node=text)
        yield Op(process=3, f="get", key=text)
        error = OpError(text[:200], True, text)
        yield Op(type="fail", process=3, f="get", key=text, error=error)
    yield Op(type="invoke", process="nemesis", f="start-cut", value=_fault())
    yield Op(type="info", process="nemesis", f="start-cut", value=_fault())
    yield Op(type="info", process="harness", f="phase", value="quiesce")
    yield Op(type="info", process="harness", f="quiesce", value={"quiet": True, "seconds": 1})
    yield Op(type="info", process="harness", f="phase", value="final")
    for text in TEXTS:
        yield Op(process=4, f="get", key=text)
        shown = [Sibling(f"1.{text}", {text: [text]})]
        yield Op(type="ok", process=4, f="get", key=text, node=text, siblings=shown)
    yield Op(type="info", process="nemesis", f="nemesis-failed", value=MARKUP)


def _fault() -> dict[str, Any]:
    return {"fault": 0, "member": MARKUP, "kind": ENDING, "grudge": [[MARKUP], [ENDING]]}


def hostile_report(into: Path) -> Path:
    """Its report, with the log of a node beside it."""
    into.mkdir(parents=True, exist_ok=True)
    folder = Folder(into)
    (into / HISTORY).write_bytes(b"".join(encode(op) for op in _numbered()))
    test = {"name": MARKUP, "command": ENDING, "start": MARKUP, "seed": LONG, LONG[:5000]: LONG,
            "began": 0, "nodes": list(TEXTS), "checkers": ["reads", "final", "stats"]}  # fmt: skip
    folder.save_json(TEST, test)
    (into / "nodes/n1").mkdir(parents=True)
    lines = (
        {"mono": i, "node": text, "event": "stored", "why": text, "key": text,
         "request": f"2.{text}", "dot": text, "holds": [text], "hint_for": text}
        for i, text in enumerate(TEXTS)
    )  # fmt: skip
    log = "".join(json.dumps(line) + "\n" for line in lines)
    (into / "nodes/n1/node.log").write_text(log + "not a line\n\x00", encoding="utf-8")
    messages = ({"sent": i, "from": text, "to": MARKUP, "key": text, "words": text,
                 "request": f"2.{text}", "received": i + 1}
                for i, text in enumerate(TEXTS))  # fmt: skip
    sent = "".join(json.dumps(line) + "\n" for line in messages)
    (into / MESSAGES).write_text(sent + "not a line\n\x00", encoding="utf-8")
    save(folder, judge(into / HISTORY, test))
    return into / REPORT


def _numbered() -> Iterator[Op]:
    for i, op in enumerate(_ops()):
        op.index, op.time = i, i * 1_000_000
        yield op
