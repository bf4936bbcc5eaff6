"""The command line, and the one place where everything is put together."""

import sys


def main() -> None:
    """The console script `dynamesis`."""
    from dynamesis.harness.processes.lifeline import follow_parent
    from dynamesis.harness.processes.signals import end_by_interrupt, ignore
    from dynamesis.harness.usage.output import secure_streams

    secure_streams()
    follow_parent()
    try:
        end_by_interrupt()
        from dynamesis.harness.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 3
        print("dynamesis: stopped; nothing was judged", file=sys.stderr)
    # said and done: an interrupt that comes only now must not change how it ended
    ignore()
    sys.exit(code)
