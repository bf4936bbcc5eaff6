"""The phases of a request: the table, and that requests go through it."""

from __future__ import annotations

import pytest
from dynamesis.cluster.core.protocol.messages import Get, Put, PutReply, RequestOptions
from dynamesis.cluster.core.requests.get import GetRequest
from dynamesis.cluster.core.requests.phase import ALLOWED, Phase, WrongPhase, advance
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.versions.context import SeenVersions
from simulator import Simulator

KEY = b"cart"


@pytest.mark.parametrize("now", Phase)
@pytest.mark.parametrize("to", Phase)
def test_only_what_the_table_allows_follows(now: Phase, to: Phase) -> None:
    if to in ALLOWED[now]:
        assert advance(now, to) is to
    else:
        with pytest.raises(WrongPhase, match=now.name):
            advance(now, to)


def coordinator(sim: Simulator) -> str:
    view = sim.nodes["n1"].view
    return view.preference(view.partition(KEY))[0]


def test_a_put_answers_once_and_is_over_when_no_copy_is_under_way() -> None:
    sim = Simulator()
    sim.latency = (0.05, 0.05)
    name = coordinator(sim)
    replies: list[object] = []
    put = Put(1, "r", KEY, b"v", options=RequestOptions(w=1))
    node = sim.nodes[name]
    request = PutRequest(node.services, put, SeenVersions({}), replies.append, 0)
    node.admission.enter(len(put.value))
    request.start()
    assert request.phase is Phase.OPEN
    for effect in node.runtime.drain():
        sim._carry(name, effect)
    sim.until(lambda: request.phase is Phase.ANSWERED)
    assert request._copies
    sim.until(lambda: request.phase is Phase.OVER)
    assert not request._copies
    assert (len(replies), node.admission.requests) == (1, 0)
    with pytest.raises(WrongPhase):
        request.finish(PutReply(1, b"", request._quorum.info(name)))


def test_a_get_lingers_after_its_answer() -> None:
    sim = Simulator()
    name = coordinator(sim)
    replies: list[object] = []
    node = sim.nodes[name]
    request = GetRequest(node.services, Get(1, KEY, RequestOptions(r=1)), replies.append)
    node.admission.enter(0)
    request.start()
    for effect in node.runtime.drain():
        sim._carry(name, effect)
    sim.until(lambda: request.phase is Phase.OVER)
    assert (len(replies), node.admission.requests) == (1, 0)
