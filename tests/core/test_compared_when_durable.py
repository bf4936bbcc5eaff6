"""An exchange that finds no difference shows that what was compared is durable at the node that
was asked: a former owner deletes its copies by that (clean seed 11089444: the copy of an
acknowledged write was deleted, and the commit of the new owner failed after it)."""

from __future__ import annotations

import pytest
from dynamesis.cluster.core.protocol import events as ev
from simulator import Simulator
from test_durability import KEY, emitted


class Held:
    """Commits of a node that wait for `release`."""

    def __init__(self, sim: Simulator, name: str) -> None:
        self._sim, self._name = sim, name
        self._persist = sim._persist
        self.waiting: list[tuple[int, tuple[ev.Write, ...]]] = []
        sim._persist = self._hold  # type: ignore[method-assign]

    def _hold(self, node: str, token: int, writes: tuple[ev.Write, ...]) -> None:
        if node == self._name:
            self.waiting.append((token, writes))
        else:
            self._persist(node, token, writes)

    def release(self, fail: bool) -> None:
        self._sim._persist = self._persist  # type: ignore[method-assign]
        for token, writes in self.waiting:
            if fail:
                self._sim.later(0.0, self._name, ev.PersistFailed(token, "no space left"))
            else:
                self._persist(self._name, token, writes)


@pytest.mark.parametrize("durability", ["batched", "buffered"])
@pytest.mark.parametrize("fail", [False, True])
def test_what_is_the_same_is_durable_at_the_node_that_was_asked(
    fail: bool, durability: str
) -> None:
    sim = Simulator(3, seed=7, anti_entropy_interval=1000.0, durability=durability)
    sim.admin("n1", "exchange")
    sim.run(0.5)
    held = Held(sim, "n2")
    sim.put("n1", KEY, b"v", w=1)
    sim.run(0.1)
    one, two = sim.nodes["n1"], sim.nodes["n2"]
    assert one.trees.roots() == two.trees.roots(), "the trees have it already"
    assert not two.objects.settled
    before = one.anti_entropy.standing["n2"].rounds
    sim.admin("n1", "exchange")
    sim.run(0.3)
    assert one.anti_entropy.standing["n2"].rounds == before, "not while it may be lost"
    assert one.anti_entropy.standing["n3"].rounds > 0
    held.release(fail)
    if fail:
        sim.until(lambda: {"peer": "n2", "error": "storage-write"} in failures(sim))
    else:
        sim.until(lambda: one.anti_entropy.standing["n2"].rounds == before + 1)
        assert not failures(sim)


def failures(sim: Simulator) -> list[dict[str, object]]:
    return [
        fields for fields in emitted(sim, "exchange-failed") if fields["error"] != "not-primary"
    ]
