"""The event logs of a stored test's nodes, as what is drawn of it needs them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from dynamesis.checkers.logs.logs import Logs
from dynamesis.harness.report.nodelog import events, nodes_of
from dynamesis.harness.results.results import Folder

log = logging.getLogger(__name__)

#: Bytes of node logs beyond which they are not read to be drawn.
_LOGS = 256 << 20


def stored_logs(folder: Folder, test: Mapping[str, Any]) -> Logs | None:
    """The event logs of a test's nodes; None where there are none, or too much to draw."""
    found = nodes_of(folder.path)
    try:
        if not found or sum(path.stat().st_size for path in found.values()) > _LOGS:
            return None
        return Logs.of(events(found), test.get("began"))
    except OSError:
        log.exception("the nodes' logs cannot be read")
        return None
