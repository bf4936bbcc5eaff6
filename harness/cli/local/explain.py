"""`dynamesis explain`: where a key is, and what each node knows of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

from dynamesis.harness.usage.flags import STORE, Json, Store
from typer import Argument


def run(
    key: Annotated[str, Argument(help="The key.")],
    store: Store = STORE,
    json: Json = False,
) -> None:
    """Show where a key is: its preference list and replicas.

    Each replica with its clock, its siblings and its hints.
    """
    import asyncio

    from dynamesis.harness.local_cluster.local_cluster import ask_all, find
    from dynamesis.harness.targets.system import EnvironmentFailed
    from dynamesis.harness.usage.output import print_json, print_text

    answers = asyncio.run(ask_all(find(store), "explain", key=os.fsencode(key)))
    known = {node: answer for node, answer in answers.items() if isinstance(answer, dict)}
    if not known:
        raise EnvironmentFailed(
            "no member of the cluster answers; dynamesis status shows each, and "
            "dynamesis cluster starts another"
        )
    if json:
        print_json(answers)
        return
    for place in dict.fromkeys(_place(answer) for answer in known.values()):
        print(place)
    for node, answer in answers.items():
        for line in _lines(answer):
            print_text(f"{node:6}{line}")


def _place(answer: Mapping[str, Any]) -> str:
    """Where one node thinks that the key is; all should think the same."""
    primaries = ", ".join(answer["primaries"])
    fallbacks = [n for n in answer["preference"] if n not in answer["primaries"]]
    return (
        f"partition {answer['partition']}; primaries {primaries}; "
        f"fallbacks {', '.join(fallbacks) or 'none'}"
    )


def _lines(answer: Any) -> list[str]:
    if not isinstance(answer, dict):
        return ["silent" if answer is None else answer]
    lines = []
    if answer["clock"]:
        clock = ", ".join(f"{actor} {events}" for actor, events in answer["clock"].items())
        lines.append(f"clock {clock}")
        lines += [f"  {_shown(sibling)}" for sibling in answer["siblings"]]
    if answer["hints_for"]:
        lines.append(f"hints for {', '.join(answer['hints_for'])}")
    return lines or ["nothing"]


def _shown(sibling: Mapping[str, Any]) -> str:
    return "(deleted)" if sibling["deleted"] else sibling["value"].decode(errors="replace")
