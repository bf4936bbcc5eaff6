"""How a test ends that cannot be run, on this machine or with this target."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import FrameType

from dynamesis.cluster.plugins.objects import OUTSIDE

#: what Python raises where code is not written right, whatever a store does
MISTAKES = (NotImplementedError, TypeError, AttributeError, NameError, ImportError)


class EnvironmentFailed(Exception):
    """The machine lacks something (exit 4). The message names what, what was tried,
    and what to do."""


class TargetMistake(RuntimeError):
    """The code of a target is wrong (exit 2). The message names the method, what it raised or
    returned, and the line."""


def described(failure: BaseException) -> str:
    """An exception in a line; of a mistake in code, with the line of the user's file at which it
    came up, or of the file that raised it."""
    text = " ".join(f"{type(failure).__name__}: {failure}".split()).removesuffix(":")
    frames = [(frame, line) for frame, line in traceback.walk_tb(failure.__traceback__)]
    if not isinstance(failure, (*MISTAKES, LookupError)) or not frames:
        return text
    own = [each for each in frames if is_from_outside(each[0])]
    frame, line = (own or frames)[-1]
    if not own and frame.f_globals.get("__name__", "").startswith("dynamesis."):
        return text  # it is refused here, and was made elsewhere
    return f"{text} ({Path(frame.f_code.co_filename).name}, line {line})"


def blamed(error: BaseException) -> str | None:
    """An exception that came up in code of a user's own file, in a line with the place there;
    None of any other."""
    seen: BaseException | None = error
    while seen is not None:
        walked = traceback.walk_tb(seen.__traceback__)
        own = [(frame, line) for frame, line in walked if is_from_outside(frame)]
        if own:
            frame, line = own[-1]
            text = " ".join(f"{type(seen).__name__}: {seen}".split()).removesuffix(":")
            where = f"{Path(frame.f_code.co_filename).name}, line {line}"
            return f"{frame.f_code.co_name} raised {text} ({where})"
        seen = seen.__cause__
    return None


def is_from_outside(frame: FrameType) -> bool:
    """Whether it runs code of a user's own file."""
    return str(frame.f_globals.get("__name__", "")).startswith(OUTSIDE)
