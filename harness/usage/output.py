"""Standard streams that cannot fail.

A verdict does not depend on the reader of the output: `dynamesis check ... | head -1` closes the
pipe early, `> /dev/full` refuses every byte, `2>&-` leaves no stream at all, and a terminal
that was closed answers EIO. Python raises from `print`, rich ends the program with exit code
1, and the interpreter's last flush ends it with 120. So the streams are replaced once, at
their lowest layer, under everything that prints: what cannot be written is dropped.
"""

from __future__ import annotations

import io
import json
import os
import select
import sys
from typing import Any, TextIO

from dynamesis.harness.text.printable import printable


def secure_streams() -> None:
    """Give this process standard streams of which none is missing and no write ever fails.
    To be called before any file is opened: a file that got number 1 would be printed into."""
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        _fill(number, mode)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _tolerant(1, sys.stdout)
    sys.stderr = _tolerant(2, sys.stderr)


def print_json(value: Any) -> None:
    """Print a value as JSON; what JSON does not have, as text."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=_text))


def print_text(text: str) -> None:
    """Print a text that may be anything: to a terminal without what it would obey."""
    print(printable(text) if sys.stdout.isatty() else text)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _fill(number: int, mode: int) -> None:
    """Have /dev/null under a number that is not open."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, mode)
        if opened != number:
            os.dup2(opened, number, inheritable=True)
            os.close(opened)
        else:
            os.set_inheritable(number, True)


def _tolerant(number: int, former: TextIO | None) -> TextIO:
    """A text stream for this descriptor, with the encoding of the one before it. Every line is
    written when it is complete: a pipe is read while the command continues (`serve`, `cluster`,
    `test | tee`)."""
    encoding = "utf-8" if former is None else former.encoding
    raw = _Dropping(number, "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


class _Dropping(io.FileIO):
    """Takes every byte, and drops what cannot be written."""

    def write(self, data: Any, /) -> int:
        size = memoryview(data).nbytes
        try:
            while (written := super().write(data)) is None:  # a pipe that does not block is full
                select.select([], [self], [])
        except (OSError, ValueError):
            return size
        return written
