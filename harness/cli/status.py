"""`dynamesis status`: how the nodes of the cluster that is up are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Option


def run(store: Annotated[Path, Option(help="Folder of results.")] = Path("store")) -> None:
    """Show each node's objects, hints and transfers, and which peers it cannot reach."""
    import asyncio

    from harness.cli.playing import ask_all, find

    print(f"{'node':6}{'state':9}{'objects':>8}{'hints':>7}{'transfers':>11}   cannot reach")
    for node, status in asyncio.run(ask_all(find(store), "status")).items():
        print(f"{node:6}{_line(node, status)}".rstrip())


def _line(node: str, status: Any) -> str:
    if not isinstance(status, dict):
        return "silent"
    lost = ", ".join(peer for peer, seen in status["peers"].items() if not seen["up"])
    return (
        f"{_state(node, status):9}{status['objects']:8}{status['hints']:7}"
        f"{status['transfers']:11}   {lost or '-'}"
    )


def _state(node: str, status: dict[str, Any]) -> str:
    members = (status["membership"] or {"members": []})["members"]
    if node in members:
        return "up" if status["ready"] else "starting"
    return "leaving" if status["objects"] else "spare"
