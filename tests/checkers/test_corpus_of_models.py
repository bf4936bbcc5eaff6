"""Every hand-made history in tests/histories/models gets exactly the anomalies it is named for.

They are named bad/MODEL/ANOMALIES-variant.edn and ok/MODEL/ANOMALY-variant.edn, the latter with
the anomaly that they nearly show. Comments at the top are options of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.formats.io import read_any
from dynamesis.checkers.models.models import MODELS, ModelOptions, check_model
from dynamesis.checkers.verdict import Results, Verdict

HISTORIES = Path(__file__).parent.parent / "histories" / "models"

CYCLES = ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item")
SINGLE = ("G1a", "G1b", "internal", "lost-update", "future-read", "phantom")
#: model -> what it finds
ANOMALIES: dict[str, tuple[str, ...]] = {
    "list-append": (
        *CYCLES, *SINGLE, "G0-process", "G0-realtime", "G-single-process", "G-single-realtime",
        "incompatible-order", "duplicate-elements", "dirty-update",
    ),
    "rw-register": (*CYCLES[1:], *SINGLE, "G1c-process", "G-single-realtime", "cyclic-versions"),
    "register": ("nonlinearizable", "phantom", "aborted-read", "future-read"),
    "cas-register": ("nonlinearizable", "phantom", "aborted-read", "future-read"),
    "mutex": ("nonlinearizable",),
    "kv": ("nonlinearizable",),
    "queue": ("lost", "duplicated", "unexpected", "reordered"),
    "set": ("lost-element", "phantom", "aborted-read", "future-read", "duplicate-elements"),
    "set-full": (
        "lost-element", "phantom", "aborted-read", "future-read", "duplicate-elements",
        "stale-read",
    ),
    "counter": ("out-of-bounds",),
    "bank": ("wrong-total", "negative-value", "nil-balance", "unexpected-key"),
    "long-fork": ("long-fork", "phantom", "aborted-read", "future-read"),
    "unique-ids": ("duplicate-ids",),
    "echo": ("wrong-echo",),
}  # fmt: skip


def files(kind: str) -> list[Any]:
    found = sorted((HISTORIES / kind).glob("*/*.edn"))
    return [pytest.param(p, id=f"{p.parent.name}-{p.stem}") for p in found]


def named(path: Path) -> set[str]:
    *others, last = path.stem.split(",")
    known = [a for a in ANOMALIES[path.parent.name] if last.startswith(f"{a}-")]
    return {*others, max(known, key=len)}


def judged(path: Path) -> Results:
    options: dict[str, Any] = {}
    for line in path.read_text().splitlines():
        if line.startswith("; "):
            name, value = line[2:].split(": ")
            options[name.replace("-", "_")] = READ[name](value)
    return check_model(path.parent.name, read_any(path), ModelOptions(**options))


#: option -> its value, from text
READ: dict[str, Any] = {
    "consistency-models": lambda text: tuple(text.split(",")),
    "assume": lambda text: tuple(text.split(",")),
    "total-amount": int,
    "initial": int,
    "negative-balances": lambda text: text == "true",
    "linearizable": lambda text: text == "true",
    "at-least-once": lambda text: text == "true",
    "fifo": lambda text: text == "true",
    "eventual": lambda text: text == "true",
}


@pytest.mark.parametrize("path", files("bad"))
def test_bad_history_shows_exactly_its_anomalies(path: Path) -> None:
    results = judged(path)
    assert (results.verdict, set(results.counts())) == (Verdict.INVALID, named(path))
    for anomaly in results.anomalies:
        assert anomaly.ops
        assert anomaly.why.endswith(".")


@pytest.mark.parametrize("path", files("ok"))
def test_near_miss_is_valid(path: Path) -> None:
    results = judged(path)
    assert (results.verdict, results.counts(), results.reasons()) == (Verdict.VALID, {}, ())
    assert named(path)


@pytest.mark.parametrize(
    ("model", "anomaly"), [(m, a) for m, all_ in ANOMALIES.items() for a in all_]
)
def test_each_anomaly_has_histories_of_each_kind(model: str, anomaly: str) -> None:
    assert any(anomaly in named(p) for p in (HISTORIES / "bad" / model).glob("*.edn"))
    assert any(anomaly in named(p) for p in (HISTORIES / "ok" / model).glob("*.edn"))


def test_no_model_is_left_out() -> None:
    assert set(ANOMALIES) == set(MODELS) - {"dynamo"}
