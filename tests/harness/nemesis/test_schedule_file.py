from __future__ import annotations

from typing import Any

import pytest
from dynamesis.harness.links.faults import FAULTS
from dynamesis.harness.nemesis import Event, FaultContext, plan
from dynamesis.harness.nemesis.faults import action_from_value
from dynamesis.harness.nemesis.schedule_file import dump, load
from dynamesis.harness.results.yaml_document import YamlError

CONTEXT = FaultContext.draw(("n1", "n2", "n3", "n4", "n5"), frozenset(FAULTS), seed=7)


def event(at: int, f: str, value: dict[str, Any]) -> Event:
    """An event from the value that the history has of it."""
    return Event(at, f, action_from_value(f, value))


WRITTEN = """\
faults:
- {start: 0.5, stop: 2.5, member: kill.one, nodes: [n2]}
- start: 0.25
  member: cut.one
  kind: refused
  grudge: [[n1], [n2, n3]]
- {start: 1, stop: 2, member: link, kind: slow, with: {latency_ms: 100}, links: [n1-n2, client-n1]}
- {start: 3, stop: 4, member: pause, target: hint-holder, key: k1, otherwise: n4}
- {start: 5, stop: 6, member: cut.bridge, kind: black-hole, grudge: {n1: [n2], n2: [n1]}}
"""


@pytest.mark.parametrize("seed", range(30))
def test_what_is_written_is_read_back(seed: int) -> None:
    events = plan(["storm"], CONTEXT, seed, 30.0)
    assert load(dump(events), "it.yaml", CONTEXT) == events


def test_a_schedule_written_by_hand() -> None:
    assert load(WRITTEN, "mine.yaml", CONTEXT) == (
        event(
            250,
            "start-cut",
            {"fault": 1, "member": "cut.one", "kind": "refused", "grudge": [["n1"], ["n2", "n3"]]},
        ),
        event(500, "start-kill", {"fault": 0, "member": "kill.one", "nodes": ["n2"]}),
        event(
            1000,
            "start-link",
            {
                "fault": 2,
                "member": "link",
                "kind": "slow",
                "with": {"latency_ms": 100},
                "links": ["n1-n2", "client-n1"],
            },
        ),
        event(2000, "stop-link", {"fault": 2, "member": "link"}),
        event(2500, "stop-kill", {"fault": 0, "member": "kill.one"}),
        event(
            3000,
            "start-pause",
            {
                "fault": 3,
                "member": "pause",
                "target": "hint-holder",
                "key": "k1",
                "otherwise": "n4",
            },
        ),
        event(4000, "stop-pause", {"fault": 3, "member": "pause"}),
        event(
            5000,
            "start-cut",
            {
                "fault": 4,
                "member": "cut.bridge",
                "kind": "black-hole",
                "grudge": {"n1": ["n2"], "n2": ["n1"]},
            },
        ),
        event(6000, "stop-cut", {"fault": 4, "member": "cut.bridge"}),
    )


def test_what_is_dumped_can_be_read_by_people() -> None:
    events = load(WRITTEN, "mine.yaml", CONTEXT)[:2]
    assert dump(events) == (
        "faults:\n"
        "- start: 0.25\n"
        "  member: cut.one\n"
        "  kind: refused\n"
        "  grudge:\n"
        "  - [n1]\n"
        "  - [n2, n3]\n"
        "- start: 0.5\n"
        "  member: kill.one\n"
        "  nodes: [n2]\n"
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "s.yaml: empty; it takes a list of faults"),
        ("faults: [", "s.yaml: not YAML: "),
        ("[]", "s.yaml, line 1: should be a mapping with the keys faults"),
        ("{}", "s.yaml, line 1: there is no key 'faults'"),
        ("\nfault: []", "s.yaml, line 2: fault: no such key here; allowed: faults"),
        ("faults: 3", "s.yaml, line 1: faults: should be a list"),
        ("faults:\n- {member: cut.one}", "s.yaml, line 2: faults: there is no 'start'"),
        ("faults:\n- {start: 1}", "s.yaml, line 2: faults: there is no 'member'"),
        (
            "faults:\n- {start: 1, member: cut.on}",
            "s.yaml, line 2: member: 'cut.on' is not allowed; allowed: clock, clock.coarse",
        ),
        (
            "faults:\n- {start: 1, member: kill.one, nodes: [n1, n9]}",
            "s.yaml, line 2: nodes: 'n9' is not allowed; allowed: n1, n2",
        ),
        (
            "faults:\n- {start: 1, member: kill.one, nodes: []}",
            "s.yaml, line 2: nodes: is empty; allowed: n1, n2",
        ),
        (
            "faults:\n- {start: 1, member: kill.one}",
            "s.yaml, line 2: faults: a fault of the family kill needs nodes or target, key,",
        ),
        (
            "faults:\n- start: 1\n  member: kill.one\n  kind: refused",
            "s.yaml, line 4: kind: no such key here; allowed: again_ms, grace_ms, key, member",
        ),
        (
            "faults:\n- start: 1\n  stop: 1\n  member: kill.one\n  nodes: [n1]",
            "s.yaml, line 3: stop: 1.0 is not after the start, 1.0",
        ),
        (
            "faults:\n- start: soon\n  member: kill.one\n  nodes: [n1]",
            "s.yaml, line 2: start: 'soon' is not a time; it takes seconds",
        ),
        (
            "faults:\n- {start: 1, member: cut, kind: slow, grudge: [[n1], [n2]]}",
            "s.yaml, line 2: kind: 'slow' is not allowed; allowed: black-hole, refused, reset",
        ),
        (
            "faults:\n- {start: 1, member: link, kind: slow, links: [n1-n1]}",
            "s.yaml, line 2: links: 'n1-n1' is not allowed; allowed: client-n1",
        ),
        (
            "faults:\n- {start: 1, member: link, kind: slow, with: {delay: 1}, links: [n1-n2]}",
            "s.yaml, line 2: with: slow has no delay; it has: latency_ms",
        ),
        (
            "faults:\n- {start: 1, member: link, kind: slow, with: 3, links: [n1-n2]}",
            "s.yaml, line 2: with: should be a mapping",
        ),
        (
            "faults:\n- {start: 1, member: wipe.one, nodes: [n1], apart: 3}",
            "s.yaml, line 2: apart: 3 is neither true nor false",
        ),
        (
            "faults:\n- {start: 1, member: kill.one, nodes: [n1], pause_ms: long}",
            "s.yaml, line 2: pause_ms: 'long' is not an integer from 0 to 60000",
        ),
        (
            "faults:\n- {start: 1, member: kill.again, nodes: [n1], again_ms: [9, -1]}",
            "s.yaml, line 2: again_ms: -1 is not an integer from 0 to 60000",
        ),
        (
            "faults:\n- {start: 1, member: clock, kind: coarse, nodes: [n1], with: {grain_ms: 1}}",
            "s.yaml, line 2: with: grain_ms is 1, not a whole number, 2 to 60000",
        ),
        (
            "faults:\n- {start: 1, member: clock, kind: jump, nodes: [n1], with: {drift_ppm: 1}}",
            "s.yaml, line 2: with: jump takes offset_ms",
        ),
        (
            "faults:\n- {start: 1, member: clock, kind: drift, nodes: [n1], with: {drift_ppm: x}}",
            "s.yaml, line 2: with: drift_ppm is 'x', not a whole number, -1000000 to 1000000",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_line_and_key(text: str, complaint: str) -> None:
    with pytest.raises(YamlError) as error:
        load(text, "s.yaml", CONTEXT)
    assert str(error.value).startswith(complaint)


def test_what_the_links_cannot_do_is_refused() -> None:
    context = FaultContext(CONTEXT.nodes, frozenset({"refused"}), "n1")
    text = "faults:\n- {start: 1, member: cut, kind: black-hole, grudge: [[n1], [n2]]}"
    with pytest.raises(YamlError, match="allowed: refused"):
        load(text, "s.yaml", context)


def test_names_of_link_faults_are_accepted_and_files_keep_the_kinds() -> None:
    """Toxiproxy's words are how users name them; histories keep what they always had."""
    for name, kind in (("latency", "slow"), ("slicer", "torn"), ("reset", "reset")):
        for given in (name, kind):
            text = f"faults:\n- {{start: 1, member: link.{given}, kind: {given}, links: [n1-n2]}}"
            (read,) = load(text, "s.yaml", CONTEXT)
            assert read.value == {
                "fault": 0, "member": f"link.{kind}", "kind": kind, "links": ["n1-n2"]
            }  # fmt: skip


def test_both_names_of_a_member_are_the_same_nemesis() -> None:
    for name, alias in (("link.limit_data", "link.cut-off"), ("link.bandwidth", "link.narrow")):
        events = plan([name], CONTEXT, 3, 10.0)
        assert events == plan([alias], CONTEXT, 3, 10.0)
        assert {event.value["member"] for event in events} == {alias}
