"""Contexts that are known again without being checked again: only the very token, for its key."""

from __future__ import annotations

import pytest
from dynamesis.cluster.core.protocol.errors import is_definite
from dynamesis.cluster.core.protocol.messages import Entry, Key, PutReply, Refusal
from dynamesis.cluster.core.versions import context as module
from dynamesis.cluster.core.versions.context import BadContext, Contexts
from simulator import Simulator

A, B = Key(b"a"), Key(b"b")
STATE = {"n1:1:1": Entry(3, (), (5,)), "n2:1:1": Entry(1)}


class Counting(Contexts):
    """Counts the codes that are computed."""

    codes = 0

    def mac(self, key: Key, body: bytes) -> bytes:
        self.codes += 1
        return super().mac(key, body)


def test_the_last_token_of_a_key_is_known_again() -> None:
    made = Counting("c", "s")
    token = made.token(A, STATE, "n2")
    assert made.read(A, token) == made.read(A, token)
    assert made.codes == 1
    other = Counting("c", "s")
    seen = [other.read(A, token) for _ in range(3)]
    assert other.codes == 1
    assert [(each.state, each.fastest) for each in seen] == [(STATE, "n2")] * 3


def test_what_is_known_of_a_key_lets_no_other_token_in() -> None:
    contexts = Contexts("c", "s")
    token = contexts.token(A, STATE)
    assert contexts.read(A, token).state == STATE
    with pytest.raises(BadContext):
        contexts.read(B, token)
    for at in range(len(token)):
        forged = token[:at] + bytes([token[at] ^ 1]) + token[at + 1 :]
        with pytest.raises(BadContext):
            contexts.read(A, forged)
    with pytest.raises(BadContext):
        contexts.read(A, token[:-1])
    assert contexts.read(A, token).state == STATE


def test_an_older_token_is_read_as_before() -> None:
    contexts = Contexts("c", "s")
    older = contexts.token(A, {"n1:1:1": Entry(1)})
    contexts.token(A, STATE)
    assert contexts.read(A, older).state == {"n1:1:1": Entry(1)}


def test_so_many_are_remembered_and_only_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 10)
    contexts = Counting("c", "s")
    for number in range(35):
        contexts.token(Key(b"%d" % number), STATE)
        assert contexts.remembered <= 10
    before = contexts.remembered
    large = contexts.token(B, {f"n{i}:1:1": Entry(i) for i in range(1, 100)})
    assert contexts.remembered == before
    contexts.codes = 0
    assert len(contexts.read(B, large).state) == 99
    assert contexts.codes == 1


def test_writers_that_never_read_are_bounded_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that write by turns, each with the context of its own last put: it names one version
    more each time, and none of the other's."""
    monkeypatch.setattr(module, "MOST_SINGLE", 200)
    sim = Simulator()
    contexts = {"a": b"", "b": b""}
    for number in range(1, 1000):
        for writer in contexts:
            answer = sim.put("n1", b"k", f"{writer}{number}".encode(), contexts[writer])
            if isinstance(answer, Refusal):
                break
            contexts[writer] = answer.context
        else:
            continue
        break
    assert isinstance(answer, Refusal)
    assert (answer.code, is_definite(answer.code)) == ("bad-context", True)
    assert "versions one by one; it may name 200: read the key" in answer.message
    assert max(map(len, contexts.values())) < 1000
    read = sim.get("n1", b"k")
    assert len(read.siblings) == 2
    assert len(read.context) < 100
    put = sim.put("n1", b"k", b"both", read.context)
    assert isinstance(put, PutReply)
    assert [v.value for v in sim.get("n1", b"k").siblings] == [b"both"]
