"""The command line: flags in, exit code out."""

import sys


def main() -> None:
    """The console script `dynamesis`."""
    from dynamesis.harness.usage.process import process

    process(_run)


def _run() -> int:
    from dynamesis.harness.cli.app import run

    return run(sys.argv[1:])
