"""Failures that are one bug have one fingerprint; those that are not, have not."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.harness.failures.fingerprint import Symptom, evidence, fingerprint

LOST = (
    "{id} was acknowledged at {at} s (index {index}) by {node} (written at 0.9 s (index 2), value "
    "{value}); {seen}. No version in the final reads knew of it. It was stored on n5 by stamp, n4 "
    "by put and was taken from n5 by {taken}, n4 by put of 0.1. The get at index 7 was answered."
)


def lost(**differs: Any) -> dict[str, Any]:
    values = {"id": "0.0", "at": 0.993, "index": 6, "node": "n1", "value": 0, "taken": "put of 0.1"}
    values["seen"] = "no read ever showed it"
    return {"name": "lost-write", "why": LOST.format(**{**values, **differs})}


def results(*anomalies: dict[str, Any], also: tuple[str, ...] = ()) -> dict[str, Any]:
    names = dict.fromkeys([*(each["name"] for each in anomalies), *also], 1)
    return {"anomalies": names, "checkers": {"final": {"anomalies": list(anomalies)}}}


def test_two_runs_of_a_bug_differ_in_details_only() -> None:
    first = fingerprint(results(lost()))
    seen = "last seen in the get of process 4 at 1.067 s (index 12) from n5"
    other = lost(id="13.207", at=17.2, index=5102, node="n4", value='{"add":"sku-9"}', seen=seen)
    assert fingerprint(results(other)) == first
    assert first.name.startswith("lost-write-")


def test_what_removed_a_version_is_evidence() -> None:
    put = fingerprint(results(lost()))
    repair = fingerprint(results(lost(taken="anti-entropy")))
    assert Symptom("lost-write", "# was acknowledged at # by #; taken by anti-entropy") in (
        repair.symptoms
    )
    assert repair.known_by(put.symptoms)  # both also by put
    assert not fingerprint(results({"name": "lost-write", "why": "1.1 was lost."})).known_by(
        put.symptoms
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "n3 ended by an error of its own (exit code 70) before 0.070 s (index 6): KeyError.",
            "n3 ended by an error of its own (exit code 70) before 0.070 s (index 6): OSError.",
        ),
        (
            "n3 ended by an error of its own (exit code 70) before 0.070 s (index 6).",
            "n3 ended by an error of its own (exit code -11) before 0.070 s (index 6).",
        ),
        (
            "the cluster was not quiet when the wait for it ended at 0.070 s (index 6): hints were "
            "still held by n4 (3).",
            "the cluster was not quiet when the wait for it ended at 0.070 s (index 6): "
            "anti-entropy came to no end between n1-n2.",
        ),
        (
            "the put of process 1 from 6.0 s (index 4) to 6.1 s (index 5) at n1 ended in timeout.",
            "the put of process 1 from 6.0 s (index 4) to 6.1 s (index 5) at n1 ended in overload.",
        ),
    ],
)
def test_another_reason_is_another_bug(one: str, other: str) -> None:
    assert evidence(one) != evidence(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "the dump of n5 at 0.120 s (index 11) showed 0.1 again, although 1.1 had replaced it.",
            "the get of process 90 at 7 s (index 210) showed 3.17 again, although 10.2 had "
            "replaced it.",
        ),
        (
            "the primaries of k4 hold different versions although the cluster was quiet: n5 held "
            "0.1; n1 held 0.1, 1.1; n2 held 0.1, 1.1.",
            "the primaries of k12 hold different versions although the cluster was quiet: n1 held "
            "nothing; n2 held 0.1.",
        ),
        (
            "2 writes were stamped n1:a:1:1: 1.1, acknowledged at 0.06 s (index 5), 3.1, "
            "acknowledged at 0.1 s (index 9).",
            "3 writes were stamped n3:53028da7a550:3:6: 7.4, acknowledged at 2.527 s (index 186), "
            "9.9, acknowledged at 3.079 s (index 305), 9.10, acknowledged at 4 s (index 306).",
        ),
    ],
)
def test_the_same_reason_is_the_same_bug(one: str, other: str) -> None:
    name = {"name": "x", "why": one}, {"name": "x", "why": other}
    assert fingerprint(results(name[0])).name == fingerprint(results(name[1])).name


def test_another_bug_in_the_same_run_is_not_taken_for_part_of_the_first() -> None:
    stuck = {"name": "stuck", "why": "the cluster was not quiet: hints were still held by n4."}
    both, alone = fingerprint(results(lost(), stuck)), fingerprint(results(stuck))
    assert both.principal < both.symptoms
    assert not alone.known_by(both.principal)


def test_an_anomaly_that_is_not_described_is_known_by_its_name() -> None:
    shown = fingerprint(results(also=("G1a",)))
    assert shown.symptoms == {Symptom("G1a", "")}
