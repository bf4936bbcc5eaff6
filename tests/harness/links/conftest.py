from __future__ import annotations

from pathlib import Path

import pytest
from dynamesis.harness.links.provision import toxiproxy_server


@pytest.fixture(scope="session")
def binary() -> Path:
    return toxiproxy_server(print)
