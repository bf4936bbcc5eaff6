"""`dynamesis status`: how the nodes of the cluster that is up are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamesis.checkers.history.counts import counted
from dynamesis.harness.usage.flags import STORE, Json, Store


def run(store: Store = STORE, json: Json = False) -> None:
    """Show each node's objects, hints, transfers and peers.

    Of each transfer, what it waits for; of the peers, those that the node cannot reach.
    """
    import asyncio

    from dynamesis.harness.local_cluster.local_cluster import ask_all, find
    from dynamesis.harness.usage.output import print_json

    answers = asyncio.run(ask_all(find(store), "status"))
    if json:
        print_json(answers)
        return
    print(f"{'node':6}{'state':9}{'objects':>8}{'hints':>7}{'transfers':>11}   cannot reach")
    for node, status in answers.items():
        print(f"{node:6}{_line(node, status)}".rstrip())
        for line in _moving(status):
            print(f"{'':6}{line}")
    for line in (*_stuck(answers), *_wrong(answers)):
        print(line)


def _moving(status: Any) -> list[str]:
    """What is on its way to or from a node: how much, why it is not done, and how long yet."""
    # a node that is down has the change wait for as long as it is: `_stuck` has what to do
    lines = []
    moves = status.get("moving", []) if isinstance(status, dict) else []
    for what in ("receiving", "giving up"):
        some = [move for move in moves if move["state"] == what]
        if some:
            waits = sorted({peer for move in some for peer in move["waiting_for"]})
            eta = f", about {some[0]['eta']:g} s" if some[0]["eta"] is not None else ""
            down = {peer for move in some for peer in move.get("down", ())}
            named = [f"{peer} (down)" if peer in down else peer for peer in waits]
            why = f", waits for {', '.join(named)}" if named else ""
            lines.append(f"{what} {counted(len(some), 'partition')}{why}{eta}")
    return lines


def _stuck(answers: Mapping[str, Any]) -> list[str]:
    """What a change of the membership waits for that will not come of itself, and what to do."""
    lines = {}
    for status in answers.values():
        if isinstance(status, dict) and status["membership"] is not None:
            lines.update(status["membership"].get("waits_for", {}))
    return [f"the change waits for {node}: {why}" for node, why in sorted(lines.items())]


def _wrong(answers: Mapping[str, Any]) -> list[str]:
    """What nodes hold against others: two processes under a name, configurations that differ."""
    known = [(node, status) for node, status in answers.items() if isinstance(status, dict)]
    doubled = {name for _, status in known for name in status.get("same_name", ())}
    return [
        *(f"two processes run under the name {name}: stop one of them" for name in sorted(doubled)),
        *(
            f"{node} has this against {peer}: {reason}"
            for node, status in known
            for peer, reason in status.get("objections", {}).items()
        ),
    ]


def _line(node: str, status: Any) -> str:
    if not isinstance(status, dict):
        return "silent"
    lost = ", ".join(peer for peer, seen in status["peers"].items() if not seen["up"])
    return (
        f"{_state(node, status):9}{status['objects']:8}{status['hints']:7}"
        f"{status['transfers']:11}   {lost or '-'}"
    )


def _state(node: str, status: Mapping[str, Any]) -> str:
    members = (status["membership"] or {"members": []})["members"]
    if node in members:
        return "up" if status["ready"] else "starting"
    return "leaving" if status["objects"] else "spare"
