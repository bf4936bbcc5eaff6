"""Fails unless the tests of a campaign ran through Toxiproxy: `toxiproxy_was_used.py FOLDER`.

`--links auto` falls back on embedded proxies with a notice, which is lost in CI. Tests that
asked for other links on purpose are left out; at least one test must have used Toxiproxy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(folder: Path) -> str:
    """What is wrong; empty if nothing is."""
    tests = [json.loads(file.read_text()) for file in folder.glob("runs/*/*/2*/test.json")]
    booted = [test for test in tests if test.get("booted") and test["links"] in WANTED]
    without = [test["command"] for test in booted if test.get("links_used") != "toxiproxy"]
    if not booted:
        return f"no test below {folder} ran with links that may be Toxiproxy"
    return "\n".join(["not through Toxiproxy:", *without]) if without else ""


#: what --links may ask for so that Toxiproxy is expected
WANTED = ("auto", "toxiproxy")

if __name__ == "__main__":
    # an empty text would count as a failure
    sys.exit(main(Path(sys.argv[1])) or 0)
