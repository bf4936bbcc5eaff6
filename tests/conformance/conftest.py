from __future__ import annotations

from collections.abc import Iterator

import pytest
from echo_world import IMPLEMENTATIONS, Stage, build_world


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """Opens worlds whose links are of one implementation after the other."""
    make = IMPLEMENTATIONS[request.param]
    made = Stage(lambda: build_world(make, tmp_path_factory.mktemp("world")))
    yield made
    made.end()
