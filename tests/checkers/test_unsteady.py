"""What a simulated world that is late, or whose disks fail, excuses."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.op import OpError
from dynamesis.checkers.models.dynamo import CHECKERS
from dynamesis.harness.worlds.simulated.tweaks import Tweaks
from log_lines import TEST, history, op


@pytest.mark.parametrize(
    ("tweaks", "excused"),
    [
        (Tweaks(), ()),
        (Tweaks(latency=(0.05, 0.1), fsync=(0.1, 0.2)), ()),
        (Tweaks(points={"reply-held": 0.1}), ("overloaded", "write-quorum")),
        (Tweaks(priorities=2), ("overloaded", "write-quorum")),
        (Tweaks(points={"batch-fails": 0.1}), ("overloaded", "write-quorum", "storage-write")),
    ],
)
def test_only_what_it_can_cause(tweaks: Tweaks, excused: tuple[str, ...]) -> None:
    test: dict[str, Any] = {**TEST, "unsteady": list(tweaks.unsteady)}
    for code in ("overloaded", "write-quorum", "storage-write", "too-many-hops"):
        refused = [
            op(1, process=1, f="put", key="k", id="1.1", value=1),
            op(1.1, type="fail", process=1, f="put", key="k", id="1.1", node="n1",
               error=OpError(code, True, "")),
        ]  # fmt: skip
        found = CHECKERS["ledger"](Run(history(refused), test)).counts()
        assert found == ({} if code in excused else {"unavailable": 1}), code


def test_nodes_with_one_hop_give_up_where_their_views_of_health_differ() -> None:
    """Found by simulate (seed 2): one hop, and a primary that its peers do not all reach."""
    refused = [
        op(1, process=1, f="put", key="k", id="1.1", value=1),
        op(1.1, type="fail", process=1, f="put", key="k", id="1.1", node="n1",
           error=OpError("too-many-hops", True, "")),
    ]  # fmt: skip
    few = {"params": {"max_hops": 1}}
    for unsteady, more, found in (
        (["late"], few, {}),
        (["late"], {}, {"unavailable": 1}),
        (["storage"], few, {"unavailable": 1}),
        ([], few, {"unavailable": 1}),
    ):
        test: dict[str, Any] = {**TEST, "unsteady": unsteady, **more}
        assert CHECKERS["ledger"](Run(history(refused), test)).counts() == found


@pytest.mark.parametrize(
    ("limit", "found"), [(3, {}), (4, {"unavailable": 1}), (None, {"unavailable": 1})]
)
def test_a_node_with_a_limit_refuses_what_is_beyond_it(limit: int | None, found: Any) -> None:
    """Found by simulate (seed 2724): a limit of five requests, and more clients."""
    asked = [op(1 + n / 100, process=n, f="get", key="k") for n in range(2)]
    refused = [
        op(1.1, process=7, f="put", key="k", id="7.1", value=1),
        op(1.2, type="fail", process=7, f="put", key="k", id="7.1", node="n1",
           error=OpError("overloaded", True, "")),
    ]  # fmt: skip
    params = {} if limit is None else {"params": {"max_requests": limit}}
    judged = CHECKERS["ledger"](Run(history(asked, refused), {**TEST, **params}))
    assert judged.counts() == found
