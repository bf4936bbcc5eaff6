"""What only nodes had that forgot is not owed: by histories made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.models.dynamo import CHECKERS
from log_lines import TEST, fault, get, history, op, put


def worth(replicas: int, coordinator: str = "n1") -> dict[str, Any]:
    return {"worth": {"replicas": replicas, "coordinator": coordinator}}


def counts(*ops: Any, test: dict[str, Any] = TEST, name: str = "final") -> dict[str, int]:
    return CHECKERS[name](Run(history(*ops), test)).counts()


WIPED = fault(1, "wipe", 5, 9, nodes=["n1"])
NOTHING = get(70, 71)
LOST = {"lost-write": 1}


@pytest.mark.parametrize(
    ("claim", "faults", "found"),
    [
        (worth(1), WIPED, {}),
        (worth(2), WIPED, LOST),
        (worth(1, "n2"), WIPED, LOST),
        ({"worth": {**worth(1, "n2")["worth"], "fallbacks": 1}}, WIPED, {}),  # handed off
        ({"worth": {**worth(2, "n2")["worth"], "fallbacks": 1}}, WIPED, LOST),
        (worth(1, "n2"), [*fault(2, "membership", 3, 4, joins=["n4"]), *WIPED], {}),  # moved
        ({"worth": {"replicas": 1}}, WIPED, {}),
        ({}, WIPED, LOST),  # w is 2 in this test
        (worth(1), [], LOST),
        (worth(1), fault(1, "kill", 5, 9, nodes=["n1"]), LOST),
        (worth(1), fault(1, "disk", 5, 9, nodes=["n1"], kind="bit-flip"), {}),
        (worth(1), fault(1, "disk", 5, 9, nodes=["n1"], kind="full"), LOST),
        (worth(1), fault(1, "membership", 5, 9, removes=["n1"]), {}),
        (worth(1), fault(1, "membership", 5, 9, leaves=["n1"]), LOST),
        (worth(1), fault(1, "wipe", 0.1, 0.9, nodes=["n1"]), LOST),  # it was back by then
        (worth(1), fault(1, "wipe", 5, 9, nodes=["n1"], skipped="no target"), LOST),
        (worth(2), [*WIPED, *fault(2, "wipe", 10, 12, nodes=["n2"])], {}),
        (worth(2), [*WIPED, *fault(2, "wipe", 10, 12, nodes=["n1"])], LOST),
    ],
)
def test_a_write_may_be_lost_with_all_nodes_that_had_it(
    claim: dict[str, Any], faults: list[Any], found: dict[str, int]
) -> None:
    assert counts(put("1.1", 1, 1.2, **claim), faults, NOTHING) == found


@pytest.mark.parametrize(("node", "found"), [("n1", {}), ("n2", LOST)])
@pytest.mark.parametrize("more", [{"storage": "memory"}, {"params": {"durability": "buffered"}}])
def test_a_process_that_ends_forgets_what_is_in_memory(
    more: dict[str, Any], node: str, found: dict[str, int]
) -> None:
    killed = fault(1, "kill", 5, 9, nodes=[node])
    judged = counts(put("1.1", 1, 1.2, **worth(1)), killed, NOTHING, test={**TEST, **more})
    assert judged == found


@pytest.mark.parametrize(("faults", "found"), [(WIPED, {}), ([], LOST)])
def test_a_write_without_an_answer_may_have_been_on_one_node(
    faults: list[Any], found: dict[str, int]
) -> None:
    open_put = [
        op(1, process=1, f="put", key="k", id="1.1", value=1),
        op(2, type="info", process=1, f="put", key="k", id="1.1"),
    ]
    assert counts(open_put, get(3, 3.1, "1.1"), faults, NOTHING) == found


@pytest.mark.parametrize(("replicas", "found"), [(1, {}), (2, {"resurrection": 1})])
def test_what_a_forgotten_write_replaced_may_be_back(replicas: int, found: dict[str, int]) -> None:
    """Found by simulate (seed 61): a delete that one node acknowledged, which was wiped."""
    first = put("1.1", 1, 1.2)
    gone = [
        op(2, process=2, f="delete", key="k", id="2.1", basis=2),
        op(2.1, type="ok", process=2, f="delete", key="k", id="2.1", **worth(replicas)),
    ]
    assert counts(first, gone, WIPED, get(70, 71, "1.1")) == found


def test_a_read_of_a_quiet_cluster_does_not_owe_it_either() -> None:
    strict = {**TEST, "w": 1, "r": 3, "sloppy": False}
    for replicas, found in ((1, {}), (2, {"stale-read": 1})):
        write = put("1.1", 1, 1.2, **worth(replicas))
        assert counts(write, WIPED, NOTHING, test=strict, name="coverage") == found


@pytest.mark.parametrize(("replicas", "found"), [(1, {}), (2, {"lost-item": 1})])
def test_a_cart_without_it_is_whole(replicas: int, found: dict[str, int]) -> None:
    write = put("1.1", 1, 1.2, **worth(replicas))
    write[0].value = {"add": "tea", "items": ["tea"]}
    judged = counts(write, WIPED, NOTHING, test={**TEST, "workload": "cart"}, name="cart")
    assert judged == found
