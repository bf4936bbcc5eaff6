"""Which workers of a cluster may be given a test: those with the campaign's version of dynamesis.

A worker is asked by a function of the standard library: one without dynamesis cannot even read a
test, and ends when it is given one.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

log = logging.getLogger(__name__)

_PACKAGE = "dynamesis"
#: seconds for an answer to be fetched
_FETCH = 10.0


@dataclass
class CheckedWorkers:
    """`good`: by address, those that may be given a test; `refused`: why others may not."""

    client: Any
    good: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    _asked: dict[str, Any] = field(default_factory=dict)

    def update(self, present: frozenset[str]) -> None:
        """Ask those that have come, note the answers, and forget those that have gone: what comes
        back at the same address may be another."""
        self.good &= present
        for gone in self.refused.keys() - present:
            del self.refused[gone]
        for worker in self._asked.keys() - present:
            del self._asked[worker]
        for worker in present - self.good - self.refused.keys() - self._asked.keys():
            self._asked[worker] = self._ask(worker)
        for worker in [worker for worker, answer in self._asked.items() if answer.done()]:
            self._note(worker, self._asked.pop(worker))

    def refuse(self, worker: str, why: str) -> None:
        """Give a worker nothing any more."""
        log.warning("%s is given nothing: %s", worker, why)
        self.good.discard(worker)
        self.refused[worker] = why

    def _ask(self, worker: str) -> Any:
        return self.client.submit(
            version,
            _PACKAGE,
            key=f"{_PACKAGE}-version-{time.time_ns()}",
            pure=False,
            workers=[worker],
            allow_other_workers=False,
        )

    def _note(self, worker: str, answer: Any) -> None:
        """An answer that is lost is asked for again."""
        try:
            found = answer.result(timeout=_FETCH)
        except PackageNotFoundError:
            self.refuse(worker, f"{_PACKAGE} is not installed there")
            return
        except Exception as lost:  # Dask has an exception for each way of it
            log.warning("%s has not answered: %r", worker, lost)
            return
        if found == version(_PACKAGE):
            self.good.add(worker)
        else:
            self.refuse(worker, f"it has {_PACKAGE} {found}, the campaign {version(_PACKAGE)}")
