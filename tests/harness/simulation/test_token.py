"""A token of at most 60 characters is a drawn schedule."""

from __future__ import annotations

import pytest
from dynamesis.cluster.zoo import BUGS
from dynamesis.harness.nemesis.catalogue import PACKAGES
from dynamesis.harness.simulation.schedules.draw import SwarmScope
from dynamesis.harness.simulation.schedules.token import LONGEST, decode, encode
from dynamesis.harness.usage.exits import UsageError
from dynamesis.workloads import WORKLOADS

WANTED = (
    SwarmScope(),
    SwarmScope(("register",), ("kill", "cut"), ("amnesia",)),
    SwarmScope(tuple(WORKLOADS), tuple(PACKAGES), tuple(BUGS)),
)


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**63 - 1])
@pytest.mark.parametrize("wanted", WANTED)
def test_there_and_back(seed: int, wanted: SwarmScope) -> None:
    token = encode(seed, wanted)
    assert len(token) <= LONGEST == 60
    assert decode(token, SwarmScope()) == (seed, wanted)
    assert decode(token.upper(), SwarmScope()) == (seed, wanted)


@pytest.mark.parametrize("damaged", ["", "sim-", "nonsense", "sim-aaaaaaaaaaaaaaa", "sim-!!!!"])
def test_what_is_not_a_token_is_refused(damaged: str) -> None:
    with pytest.raises(UsageError, match="--replay"):
        decode(damaged, SwarmScope())


def test_a_letter_that_changed_is_seen() -> None:
    token = encode(77, SwarmScope())
    for at in range(4, len(token)):
        changed = token[:at] + ("b" if token[at] != "b" else "c") + token[at + 1 :]
        with pytest.raises(UsageError, match="--replay"):
            decode(changed, SwarmScope())


def test_names_of_a_users_own_must_be_given_beside_it() -> None:
    token = encode(7, SwarmScope(bug=("/some/file.py:Bug",)))
    with pytest.raises(UsageError, match=r"--bug FILE\.py:NAME"):
        decode(token, SwarmScope())
    beside = SwarmScope(bug=("/other/file.py:Bug",))
    assert decode(token, beside) == (7, beside)


def test_other_names_of_a_users_own_are_refused() -> None:
    """Another schedule would be drawn of them, and taken for the one of the token."""
    own = ("/some/file.py:A", "/some/file.py:B")
    token = encode(7, SwarmScope(workloads=own))
    assert decode(token, SwarmScope(workloads=own)) == (7, SwarmScope(workloads=own))
    for given in (own[:1], ("/some/file.py:A", "/some/file.py:C"), ("/some/other.py:A", own[1])):
        with pytest.raises(UsageError, match="made with other names of your own than"):
            decode(token, SwarmScope(workloads=given))
