"""The command line, and the one place where everything is put together."""

import signal
import sys


def main() -> None:
    """The console script `dynamesis`."""
    from harness.cli.app import run

    code = run(sys.argv[1:])
    # said and done: an interrupt that comes only now must not change how it ended
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)
