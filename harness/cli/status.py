"""`dynamesis status`: how the nodes of the cluster that is up are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Option


def run(store: Annotated[Path, Option(help="Folder of results.")] = Path("store")) -> None:
    """Show each node's objects, hints and transfers, and which peers it cannot reach."""
    import asyncio

    from harness.cli.playing import find

    found = find(store)
    print(f"{'node':6}{'state':8}{'objects':>8}{'hints':>7}{'transfers':>11}   cannot reach")
    for node, status in asyncio.run(_ask(found.admins)).items():
        print(f"{node:6}{_line(status)}".rstrip())


def _line(status: dict[str, Any] | None) -> str:
    if status is None:
        return "silent"
    lost = ", ".join(peer for peer, seen in status["peers"].items() if not seen["up"])
    return (
        f"{'up':8}{status['objects']:8}{status['hints']:7}{status['transfers']:11}   {lost or '-'}"
    )


async def _ask(admins: dict[str, str]) -> dict[str, dict[str, Any] | None]:
    from cluster.admin import AdminClient
    from cluster.failures import DynamoError

    answers: dict[str, dict[str, Any] | None] = {}
    for node, address in admins.items():
        try:
            async with AdminClient(address) as admin:
                answers[node] = await admin.ask("status")
        except DynamoError:
            answers[node] = None
    return answers
