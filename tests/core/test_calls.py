"""How many functions of the core a request calls: a bound on what it costs that holds on any
machine, however busy. Exchanges, gossip and probes are counted in: they are few here."""

from __future__ import annotations

import sys
from types import FrameType

import pytest
from dynamesis.cluster.core.protocol.messages import Get, GetReply, Key, Put, PutReply
from simulator import Simulator

CORE = "cluster/core/"
ROUNDS = 300


class Counted:
    """A load of puts that each replace one version, and the calls of functions of the core."""

    def __init__(self) -> None:
        self.sim = Simulator(anti_entropy_interval=0)
        self.context = dict.fromkeys((Key(b"k%d" % i) for i in range(5)), b"")
        self.called = 0
        self.rounds = 0

    def ask(self, kind: str) -> None:
        """One request, by any node, until all replicas have answered."""
        self.rounds += 1
        keys = list(self.context)
        key = keys[self.rounds % len(keys)]
        name = self.sim.names[self.rounds // len(keys) % len(self.sim.names)]
        question = Put(1, f"r{self.rounds}", key, b"v" * 100, self.context[key])
        sys.setprofile(self._count)
        try:
            reply = self.sim.call(name, question if kind == "put" else Get(1, key))
            self.sim.run(0.01)
        finally:
            sys.setprofile(None)
        assert isinstance(reply, PutReply | GetReply)
        self.context[key] = reply.context

    def _count(self, frame: FrameType, event: str, arg: object) -> None:
        self.called += event == "call" and CORE in frame.f_code.co_filename


@pytest.mark.parametrize(("kind", "most"), [("put", 155), ("get", 112)])
def test_a_request_calls_few_functions_of_the_core(kind: str, most: int) -> None:
    load = Counted()
    for _ in range(50):
        load.ask("put")
    load.called = 0
    for _ in range(ROUNDS):
        load.ask(kind)
    assert load.called / ROUNDS < most, kind
