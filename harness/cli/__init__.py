"""The command line, and the one place where everything is put together."""

import sys


def main() -> None:
    """The console script `dynamesis`."""
    from harness.cli.output import secure_streams
    from harness.lifeline import follow_parent
    from harness.signals import end_by_interrupt, ignore

    secure_streams()
    follow_parent()
    try:
        end_by_interrupt()
        from harness.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 3
        print("dynamesis: stopped; nothing was judged", file=sys.stderr)
    # said and done: an interrupt that comes only now must not change how it ended
    ignore()
    sys.exit(code)
