"""A headless Chromium, for tests of the pages in a real browser. Debian: chromium, chromium-driver;
PyPI: the extra `browser`. Without them these tests are skipped, by name of what is missing.

Screenshots are kept in $BROWSER_ARTIFACTS, where that is set.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.browser import Browser

MISSING = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    pytest.importorskip("selenium", reason="needs PyPI's selenium: the extra `browser`")
    if MISSING:
        pytest.skip(f"needs {' and '.join(MISSING)} on the PATH")
    artifacts = os.environ.get("BROWSER_ARTIFACTS")
    opened = Browser.open(Path(artifacts) if artifacts else None)
    yield opened
    opened.close()
