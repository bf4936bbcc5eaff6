"""Cuts where all peers of a node reach it by one proxy: whole nodes, and no pairs."""

from __future__ import annotations

from dynamesis.harness.links.direct import DirectLinks
from dynamesis.harness.links.faults import BlackHole, RefusedLink
from dynamesis.harness.nemesis.cuts import route_faults
from dynamesis.harness.nemesis.network import RouteFaults

SHARED = RouteFaults(
    DirectLinks(), ["client-n1", "client-n2", *(f"peers-n{i}" for i in (1, 2, 3)), "peers-n1:other"]
)


def test_a_node_that_all_others_shall_not_reach_is_cut_off() -> None:
    wanted = route_faults("refused", [["n1"], ["n2", "n3"]])
    assert SHARED.that_there_are(wanted) == {"peers-n1": RefusedLink()}
    assert SHARED.of_pair("peers-n1") == ["peers-n1", "peers-n1:other"]


def test_what_is_meant_for_some_peers_is_not_laid_on_all() -> None:
    assert SHARED.that_there_are({"n2-n1": RefusedLink(), "n1-n2": RefusedLink()}) == {}
    mixed = {"n2-n1": RefusedLink(), "n3-n1": BlackHole("upstream")}
    assert SHARED.that_there_are(mixed) == {}


def test_where_each_pair_has_its_own_route_faults_stay_as_they_are() -> None:
    wanted = route_faults("refused", [["n1"], ["n2", "n3"]])
    assert RouteFaults(DirectLinks(), ["n1-n2", "n2-n1"]).that_there_are(wanted) == wanted
