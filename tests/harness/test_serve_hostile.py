"""A store whose every text was chosen to break the pages of `dynamesis serve`."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from dynamesis.harness.serve.server import make_server

from tests.harness.campaign.test_hostile_night import OBEYED, Elements
from tests.harness.test_serve_pages import Site
from tests.hostile import hostile_report

PATH = "odd/20260101T000000.000Z"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    store = tmp_path_factory.mktemp("store")
    hostile_report(store / PATH)
    server = make_server(store, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield Site(server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "page",
    ["/", f"/-/test/{PATH}", f"/-/history/{PATH}", f"/-/nodes/{PATH}", f"/-/files/{PATH}",
     f"/-/compare?a={PATH}&b={PATH}", "/-/zoo"],
)  # fmt: skip
def test_all_is_text_and_nothing_is_obeyed(served: Site, page: str) -> None:
    status, shown, _ = served.get(page)
    assert status == 200
    elements = Elements()
    elements.feed(shown)
    assert not elements.found & {"img", "b", "iframe", "object", "onerror"}
    assert OBEYED.search(shown) is None
