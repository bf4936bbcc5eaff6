"""The graph of an anomaly: shortest cycles as networkx finds them, and the causal past."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from dynamesis.checkers.graph import explained
from dynamesis.checkers.graph.cycles import PROCESS, RW, WR, WW, Cycle, Graph, Step
from dynamesis.checkers.graph.explained import Explained, component, past, shortest_cycle
from hypothesis import given, settings
from hypothesis import strategies as st

EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.sampled_from([WW, WR])))


def graph_of(hops: list[tuple[int, int, int]]) -> Graph:
    hops = [hop for hop in hops if hop[0] != hop[1]]
    source, target, kind = (np.array([hop[i] for hop in hops], np.int64) for i in range(3))
    return Graph(8, 8, source, target, kind.astype(np.int8), np.zeros(len(hops), np.int8))


@settings(deadline=None)
@given(EDGES, st.lists(st.tuples(st.integers(0, 3), st.integers(4, 7)), min_size=1))
def test_a_cycle_is_the_shortest_whether_or_not_its_component_is_cut_down(hops, pairs) -> None:
    import networkx as nx  # slow to import, and each worker imports all tests

    graph = graph_of(hops)
    closing = [(a, RW, b) for a, b in pairs]
    whole = shortest_cycle(graph, closing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explained, "WHOLE", 0)
        assert shortest_cycle(graph, closing) == whole
    edges = nx.DiGraph((a, b) for a, b, _ in hops)
    lengths = [
        nx.shortest_path_length(edges, b, a) + 1
        for a, b in pairs
        if a in edges and b in edges and nx.has_path(edges, b, a)
    ]
    assert len(whole) == min(lengths, default=0)
    for hop, following in zip(whole, [*whole[1:], *whole[:1]], strict=True):
        assert hop[2] == following[0]
    assert all((a, b, kind) in hops for a, kind, b in whole[:-1])


def test_of_two_kinds_of_one_edge_the_stronger_is_shown() -> None:
    graph = component(graph_of([(0, 1, WR), (0, 1, WW), (1, 2, WR)]))
    assert list(graph.edges(data="kind")) == [(0, 1, WW), (1, 2, WR)]


def test_the_past_is_what_leads_to_an_operation() -> None:
    graph = component(graph_of([(0, 1, WR), (1, 2, WW), (3, 2, WR), (2, 4, WR)]))
    assert set(past(graph, 2)) == {0, 1, 2, 3}
    assert list(past(graph, 1).edges) == [(0, 1)]


def test_an_anomaly_holds_the_reason_of_each_edge() -> None:
    cycle = Cycle("G1c", (Step(3, WR, 5), Step(5, PROCESS, 3)))
    proof = Explained.of(cycle, lambda step: f"{step.a} leads to {step.b}")
    assert list(proof.reasons()) == [
        (cycle.steps[0], "3 leads to 5"),
        (cycle.steps[1], "5 leads to 3"),
    ]
    assert list(proof.graph.edges(data="kind")) == [(3, 5, "wr"), (5, 3, "process")]


CLEAN = """
import sys
from dynamesis.checkers.elle.elle import check_list_append
from dynamesis.checkers.history.history import History
from dynamesis.checkers.models import models
from dynamesis.checkers.simulate.simulate_txn import transactions
assert check_list_append(History.of(transactions(1, 200))).verdict.json is True
assert "networkx" not in sys.modules
"""


def test_a_history_without_a_cycle_does_not_load_networkx() -> None:
    subprocess.run([sys.executable, "-c", CLEAN], check=True)
