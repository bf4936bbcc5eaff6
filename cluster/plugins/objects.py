"""FILE.py:NAME: an object in a Python file of a user's own.

The one way in which bugs, targets, workloads, nemeses and models come from outside. The file is
loaded under a name of its own, so that it can shadow no module; its folder is importable while it
is loaded, so that it may have others beside it.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType

#: how the names of modules begin that are loaded so
OUTSIDE = "_dynamesis_"


def is_file_name(spec: str) -> bool:
    """Whether this is meant as FILE.py:NAME, and not as a name in a table."""
    return ":" in spec or spec.endswith(".py") or "/" in spec


def absolute(spec: str) -> str:
    """FILE.py:NAME with the file as it is found from any folder; any other name as it is."""
    file, colon, name = spec.rpartition(":")
    return f"{Path(file).resolve()}:{name}" if colon else spec


def load_object(spec: str, fits: Callable[[object], bool], what: str) -> object:
    """The object that `spec` names, FILE.py:NAME. Raises ValueError with what is wrong; what the
    file has that `fits` (`what` it should be, such as "a Target") is listed in it."""
    file, _, name = spec.rpartition(":")
    path = Path(file)
    if path.suffix != ".py" or not name.isidentifier():
        raise ValueError(f"{spec!r} is not of the form FILE.py:NAME")
    module = load_module(path)
    found = getattr(module, name, None)
    if name in vars(module) and fits(found):
        return found
    here = [key for key, value in vars(module).items() if _is_own(module, key, value, fits)]
    wrong = f"is not {what}" if name in vars(module) else "is not there"
    raise ValueError(f"{path}: {name!r} {wrong}; of {what} there are: {', '.join(here) or 'none'}")


def load_module(path: Path) -> ModuleType:
    """The module in this file, executed once. Raises ValueError."""
    path = path.resolve()
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    name = f"{OUTSIDE}{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ValueError(f"{path}: cannot be loaded as Python")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    sys.path.append(str(path.parent))
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ValueError(f"{path}: cannot be loaded: {_in_a_line(path, error)}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def _in_a_line(path: Path, error: BaseException) -> str:
    """What was raised, and at which line of the file."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    where = f"line {lines[-1]}: " if lines else ""
    return f"{where}{type(error).__name__}: {' '.join(str(error).split())}"


def _is_own(module: ModuleType, key: str, value: object, fits: Callable[[object], bool]) -> bool:
    if key.startswith("_") or not fits(value):
        return False
    if isinstance(value, type) or callable(value):
        return getattr(value, "__module__", None) == module.__name__
    return True
