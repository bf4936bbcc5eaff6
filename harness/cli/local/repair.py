"""`dynamesis repair`: exchanges and handoffs now, rather than when their time comes."""

from __future__ import annotations

from dynamesis.harness.usage.flags import STORE, Store


def run(store: Store = STORE) -> None:
    """Start anti-entropy and hinted handoff on every node, now."""
    import asyncio

    from dynamesis.harness.local_cluster.local_cluster import ask_all, find

    for node, answer in asyncio.run(ask_all(find(store), "repair")).items():
        print(f"{node}: {_line(answer)}")


def _line(answer: object) -> str:
    if isinstance(answer, dict):
        return f"compares with {', '.join(answer) or 'no other node'}"
    return "silent" if answer is None else str(answer)
