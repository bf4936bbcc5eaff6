"""Asks all nodes the same: concurrently, unless they answer without a wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def node_answers(
    nodes: Sequence[str], ask: Callable[[str], Coroutine[Any, Any, T]], prompt: bool
) -> list[T | BaseException]:
    """What each node answers, or the error that it ends in. `prompt`: whether each answers without
    a wait; then there is no task for each, which takes longer than such an answer."""
    if not prompt:
        return await asyncio.gather(*map(ask, nodes), return_exceptions=True)
    answers: list[T | BaseException] = []
    for node in nodes:
        try:
            answers.append(await ask(node))
        except Exception as failure:
            answers.append(failure)
    return answers
