"""Where the harness logs to: a file, shared with its own workers where it has forked some.

multiprocessing-logging carries what workers log to the process that holds the file. Its
queue has one lock for all writers, so it serves only processes that are never killed or
paused; nodes and proxies write files of their own (docs/campaigns.md).
"""

from __future__ import annotations

import logging
import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from multiprocessing_logging import MultiProcessingHandler, install_mp_handler

_LAYOUT = "%(asctime)s %(levelname)s %(processName)s %(name)s: %(message)s"


@contextmanager
def logging_to(path: Path, workers: bool = False) -> Iterator[None]:
    """Everything the harness logs goes to a file, and nothing to the terminal. `workers`:
    also what processes log that are forked within, and that end within."""
    handler = _Lossy(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_LAYOUT))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    if workers:
        # the library refuses any other default, and 3.14 has another
        multiprocessing.set_start_method("fork", force=True)
        install_mp_handler(root)
    try:
        yield
    finally:
        for each in list(root.handlers):
            if each is handler or getattr(each, "sub_handler", None) is handler:
                root.removeHandler(each)
                _finish(each)


class _Lossy(logging.FileHandler):
    """A log is not evidence: where it cannot be written, the test continues without it."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        with suppress(OSError):
            super().close()


def _finish(handler: logging.Handler) -> None:
    """Closing waits until all lines of the workers are written."""
    handler.close()
    if isinstance(handler, MultiProcessingHandler):
        handler.sub_handler.close()
