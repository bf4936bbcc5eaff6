"""What one sees while a test runs: live on a terminal, plain lines elsewhere.

A ProgressCounts follows the history and knows everything that is shown; a view only draws it.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from dynamesis.checkers.history.op import Op
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

#: Rates are taken over so many ns.
_WINDOW = 1_000_000_000
#: Seconds between two plain lines while a phase lasts.
_EVERY = 2.0


@dataclass
class ProgressCounts:
    """Counts what happens in a history as it grows. Times in ns since the test began."""

    phase: str = ""
    now: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[object, str] = field(default_factory=dict)
    _recent: deque[int] = field(default_factory=deque)

    def observe(self, op: Op) -> None:
        self.now = op.time
        if op.process == "harness" and op.f == "phase":
            self.phase = str(op.value)
        elif op.process == "nemesis":
            self._observe_nemesis(op)
        elif isinstance(op.process, int) and op.type != "invoke":
            self.counts[op.type] += 1
            self._recent.append(op.time)

    def rate(self, now: int) -> float:
        """Completions a second, over the last second, at `now`."""
        while self._recent and self._recent[0] < now - _WINDOW:
            self._recent.popleft()
        return len(self._recent) * 1e9 / _WINDOW

    def _observe_nemesis(self, op: Op) -> None:
        action, _, family = op.f.partition("-")
        value = op.value if isinstance(op.value, dict) else {}
        fault = value.get("fault", family)
        if action == "start" and op.type == "info":
            self.faults[fault] = str(value.get("member", family))
        elif action == "stop" and op.type == "info":
            self.faults.pop(fault, None)


class TestView(Protocol):
    """Shows a test while it runs."""

    def observe(self, op: Op) -> None: ...

    def __enter__(self) -> TestView: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...


def alarm(op: Op) -> str | None:
    """What is printed at once of an event: a process died that no fault ended."""
    if op.f == "found-dead":
        return "\n".join(
            f"{node} died by itself: {last}" for node, last in op.value["last"].items()
        )
    if op.f == "links-restarted":
        return f"links of {op.value['server']} restarted: {op.value['reason']}"
    return None


def view(console: Console) -> TestView:
    """Live where the console is a terminal, plain lines where it is not."""
    return LiveView(console) if console.is_terminal else PlainView(console.print)


class PlainView:
    """A line when a phase begins, when a fault comes or goes, and every two seconds."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._tally = ProgressCounts()
        self._shown: tuple[str, tuple[str, ...]] = ("", ())
        self._due = 0.0

    def observe(self, op: Op) -> None:
        self._tally.observe(op)
        if (text := alarm(op)) is not None:
            self._say(text)
        now = op.time / 1e9
        shown = (self._tally.phase, tuple(self._tally.faults.values()))
        if shown != self._shown or (self._tally.phase == "load" and now >= self._due):
            self._shown, self._due = shown, now + _EVERY
            self._say(line(self._tally, op.time))

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Lines need no end."""


class LiveView:
    """One line that keeps itself up to date, by a thread of rich's own."""

    def __init__(self, console: Console) -> None:
        self._tally = ProgressCounts()
        self._spinner = Spinner("dots")
        self._observed_at = time.monotonic_ns()
        self._live = Live(
            console=console, get_renderable=self._draw, refresh_per_second=8, transient=True
        )

    def observe(self, op: Op) -> None:
        self._tally.observe(op)
        if (text := alarm(op)) is not None:
            self._live.console.print(text)
        self._observed_at = time.monotonic_ns()

    def _draw(self) -> RenderableType:
        now = self._tally.now + time.monotonic_ns() - self._observed_at
        self._spinner.update(text=Text(line(self._tally, now)))
        return Group(self._spinner)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._live.stop()


def line(tally: ProgressCounts, now: int) -> str:
    """`load     4.2 s   98 op/s   ok 402  fail 3  info 8   faults: cut`"""
    counts = "  ".join(f"{kind} {tally.counts[kind]}" for kind in ("ok", "fail", "info"))
    faults = ", ".join(list(tally.faults.values())) or "none"
    return (
        f"{tally.phase:8}{now / 1e9:6.1f} s {tally.rate(now):6.0f} op/s   {counts}   "
        f"faults: {faults}"
    )
