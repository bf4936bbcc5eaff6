"""The command line, and the one place where everything is put together."""

import sys


def main() -> None:
    """The console script `dynamesis`."""
    from harness.cli.app import run

    sys.exit(run(sys.argv[1:]))
