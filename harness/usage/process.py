"""A process of the harness, from its first line to its exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable


def process(body: Callable[[], int]) -> None:
    """Run `body` with streams that cannot fail, tied to its parent where one is named, and exit
    with its code. An interrupt that comes after the body does not change how it ended."""
    from dynamesis.harness.processes.lifeline import follow_parent
    from dynamesis.harness.processes.signals import end_by_interrupt, ignore
    from dynamesis.harness.usage.output import secure_streams

    secure_streams()
    follow_parent()
    try:
        end_by_interrupt()
        code = body()
    except KeyboardInterrupt:
        code = 3
        print("dynamesis: stopped; nothing was judged", file=sys.stderr)
    ignore()
    sys.exit(code)
