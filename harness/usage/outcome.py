"""The exit code of every way in which a command can end, and the line that gives the reason.

An error is one line: what is wrong, where, and what would be right.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from dynamesis.harness.processes.limits import shortage
from dynamesis.harness.processes.standstill import NeverEnds
from dynamesis.harness.targets.system import EnvironmentFailed, blamed
from dynamesis.harness.usage.exits import ENVIRONMENT, UNKNOWN, USAGE, UsageError


@runtime_checkable
class ParserError(Protocol):
    """An error of the option parser; its class has no public name in typer."""

    def format_message(self) -> str: ...


def outcome(program: str, command: Callable[[], int]) -> int:
    """The exit code of `command`; an error is printed as one line, after `program`."""
    try:
        return command()
    except UsageError as wrong:
        return complain(program, str(wrong), USAGE)
    except NeverEnds as endless:
        return complain(program, str(endless), UNKNOWN)
    except EnvironmentFailed as failure:
        return complain(program, str(failure), ENVIRONMENT)
    except KeyboardInterrupt:
        return complain(program, "stopped; nothing was judged", UNKNOWN)
    except SystemExit as error:
        own = blamed(error) or f"something ended the process: {error!r}"
        return complain(program, own, USAGE)
    except Exception as error:
        return _unexpected(program, error)


def complain(program: str, what: str, code: int) -> int:
    """Print one line, whatever `what` was made of, between words where a terminal breaks it;
    returns the code."""
    line = f"{program}: {' '.join(what.split())}"
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    if sys.stderr.isatty():
        wide = shutil.get_terminal_size().columns
        line = textwrap.fill(line, wide, break_long_words=False, break_on_hyphens=False)
    print(line, file=sys.stderr)
    return code


def _unexpected(program: str, error: Exception) -> int:
    if isinstance(error, ParserError):
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "dynamesis"
        what = error.format_message().rstrip(".")
        return complain(path, f"{what}; see {path} --help", USAGE)
    if (lacking := shortage(error)) is not None:
        return complain(program, lacking, ENVIRONMENT)
    if (own := blamed(error)) is not None:
        return complain(program, own, USAGE)
    traceback.print_exception(error)
    return complain(program, "internal error, please report; no verdict", UNKNOWN)
