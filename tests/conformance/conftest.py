from __future__ import annotations

from pathlib import Path

import pytest
from echo_world import IMPLEMENTATIONS, OpenWorld, build_world


@pytest.fixture(params=IMPLEMENTATIONS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> OpenWorld:
    """Opens a world whose links are of one implementation after the other."""
    make = IMPLEMENTATIONS[request.param]
    return lambda: build_world(make, tmp_path)
