"""The test that a word is: its requests and faults, each a moment after the one before.

Three nodes hold two copies of one key, so that there is a node without one, to which a write falls
back. A request is sent while the fault before it is at work, and a fault strikes while the request
before it is under way. A write carries the context of what its client saw last.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.given import Given
from dynamesis.harness.nemesis.catalogue import MEMBERS
from dynamesis.harness.nemesis.faults import CutFault, FaultValue, KillFault, PauseFault, WipeFault
from dynamesis.harness.nemesis.schedule import Event, FaultInterval, events_of
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.words import MEND, NODES, Word, is_request
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.options import SIMULATED, TestOptions, plan_test
from dynamesis.harness.worlds.test_spec import TestSpec

#: ms from a request to a fault, to the next request, from a fault to what comes next
_UNDER_WAY, _ANSWERED, _AT_WORK = 1, 60, 200
#: ms of load after the last letter
_REST = 300
#: characters of a token before its word
PREFIX = "word-"
_MEMBERS = {"k": "kill.one", "s": "pause.one", "c": "cut.one", "w": "wipe.one"}
_OPERATIONS = {"p": "put", "g": "get", "d": "delete"}
_KEY = "k0"


def token(word: Word) -> str:
    """The word as a replay token: `word-p0k1p1`."""
    return PREFIX + "".join(word)


def word_of(text: str) -> Word:
    """The word of a token. Raises UsageError, also for a word with a fault that cannot strike: what
    is played would be another word."""
    body = text.strip().lower().removeprefix(PREFIX)
    found = tuple([body[at : at + 2] for at in range(0, len(body), 2)])
    known = {f"{kind}{client}" for kind in _OPERATIONS for client in (0, 1)}
    known |= {f"{kind}{node}" for kind in (*_MEMBERS, MEND) for node in range(NODES)}
    wrong = [letter for letter in found if letter not in known]
    if wrong or not found:
        raise UsageError(
            f"--replay: {text[:60]!r} is not {PREFIX} and letters such as p0 k1 m1 g0: "
            f"{wrong[0] if wrong else 'nothing'!r}; allowed: {', '.join(sorted(known))}"
        )
    for number, letter in enumerate(found):
        if not is_request(letter) and (letter[0] == MEND) is not _suffers(found[:number], letter):
            why = "nothing" if letter[0] == MEND else "a fault already"
            raise UsageError(
                f"--replay: {text[:60]!r}: {letter!r}, letter {number + 1}: node {letter[1]} "
                f"suffers {why}; leave it out"
            )
    return found


def is_word(text: str) -> bool:
    """Whether this is meant as the token of a word; letters as of any token may be large."""
    return text.strip().lower().startswith(PREFIX)


def _suffers(before: Word, letter: str) -> bool:
    """Whether the node of this letter suffers a fault after the letters before."""
    of_node = [each for each in before if not is_request(each) and each[1] == letter[1]]
    return bool(of_node) and of_node[-1][0] != MEND


def schedule_of(word: Word, bug: tuple[str, ...] = ()) -> SimulatedSchedule:
    """The test of a word. `bug`: what is planted in every node."""
    times = _times(word)
    limit = (times[-1] + _REST) / 1000 if times else _REST / 1000
    spec, plan = _planned(bug)
    return SimulatedSchedule.planned(
        replace(spec, time_limit=limit),
        replace(plan, time_limit=limit),
        _faults(word, times, limit),
        {},
        _operations(word, times),
    )


@lru_cache(maxsize=4)
def _planned(bug: tuple[str, ...]) -> tuple[TestSpec, TestOptions]:
    """The test of every word, planned once: words differ in what is done, and in how long."""
    spec = TestSpec(
        workload="register",
        nodes=NODES,
        n=2,
        r=2,
        w=2,
        world=SIMULATED,
        seed=1,
        nemesis=("none",),
        concurrency=2,
        keys=1,
        param=("partitions=8",),
        bug=bug,
    )
    return spec, plan_test(spec)


def _times(word: Word) -> list[int]:
    """When each letter begins, ms after the load began."""
    times: list[int] = []
    for at, letter in enumerate(word):
        if not at:
            times.append(20)
        elif not is_request(word[at - 1]):
            times.append(times[-1] + _AT_WORK)
        else:
            times.append(times[-1] + (_ANSWERED if is_request(letter) else _UNDER_WAY))
    return times


def _operations(word: Word, times: list[int]) -> tuple[Given, ...]:
    found: list[Given] = []
    seen: dict[int, int] = {}
    for letter, at in zip(word, times, strict=True):
        if not is_request(letter):
            continue
        client, f = int(letter[1]), _OPERATIONS[letter[0]]
        number = len(found)
        op = Op(f=f, key=_KEY, node=f"n{client + 1}")
        basis = None
        if f != "get":
            basis = seen.get(client)
            value: dict[str, Any] = {} if f == "delete" else {"value": number}
            op = Op(
                f=f, key=_KEY, node=f"n{client + 1}", id=f"{client}.{number}", basis=None, **value
            )
        found.append(Given(1_000_000 * at, client, op, basis))
        seen[client] = number
    return tuple(found)


def _faults(word: Word, times: list[int], limit: float) -> tuple[Event, ...]:
    members = {member.name: member for member in MEMBERS}
    began: dict[str, tuple[int, str]] = {}
    intervals: list[FaultInterval] = []
    for letter, at in zip(word, times, strict=True):
        kind, name = letter[0], letter[1]
        if kind == MEND:
            start, what = began.pop(name)
            intervals.append(FaultInterval(start, at, members[_MEMBERS[what]], _fault(what, name)))
        elif not is_request(letter):
            began[name] = at, kind
    end = round(1000 * limit)
    for name, (start, what) in began.items():
        intervals.append(FaultInterval(start, end, members[_MEMBERS[what]], _fault(what, name)))
    return events_of(intervals, limit)


def _fault(kind: str, name: str) -> FaultValue:
    node = f"n{int(name) + 1}"
    if kind == "c":
        others = [f"n{each + 1}" for each in range(NODES) if each != int(name)]
        return CutFault(kind="black-hole", grudge=[[node], others])
    if kind == "k":
        return KillFault(nodes=[node])
    return PauseFault(nodes=[node]) if kind == "s" else WipeFault(nodes=[node])
