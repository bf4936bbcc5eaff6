"""`dynamesis ...` in the process of the test: for all that does not depend on the process around
it, which takes a second of a processor to start. `tests/end_to_end` has real ones."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

from dynamesis.harness.cli.app import run


@dataclass(frozen=True)
class Done:
    """What is left of a command line, named as in subprocess.CompletedProcess."""

    returncode: int
    stdout: str
    stderr: str


def command_line(*arguments: object, together: bool = False) -> Done:
    """Run it to its end; `together`: stdout and stderr in one, as on a terminal."""
    out = io.StringIO()
    errors = out if together else io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = run([str(argument) for argument in arguments])
    return Done(code, out.getvalue(), errors.getvalue())
