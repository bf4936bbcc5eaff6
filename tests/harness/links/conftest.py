from __future__ import annotations

from pathlib import Path

import pytest

from harness.links.provision import provision


@pytest.fixture(scope="session")
def binary() -> Path:
    return provision(print)
