"""Where libfaketime is, if it is anywhere: clocks can be made wrong through it from outside.

In this order: $LIBFAKETIME, the package `libfaketime` of PyPI (the extra `faketime` of ours),
Debian's package `faketime`. With Debian's 0.9.10, time.sleep fails in the mode that is used;
nodes wait otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

#: How clocks can be made wrong.
IN_PROCESS, FAKETIME = CLOCKS = ("in-process", "faketime")
_VARIABLE = "LIBFAKETIME"
_PACKAGE = Path("vendor/libfaketime/src/libfaketime.so.1")
_DEBIAN = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")


@dataclass(frozen=True)
class Found:
    """The path of the library, or None; and where it was looked for, in words."""

    path: Path | None
    tried: tuple[str, ...]

    @property
    def why_not(self) -> str:
        """The reason, where there is none."""
        return (
            f"no libfaketime: {'; '.join(self.tried)}. Install Debian's package faketime, or "
            "pip install 'dynamesis[faketime]', or leave --clocks at in-process"
        )


def find(environment: Mapping[str, str] = os.environ) -> Found:
    """The first library that is there."""
    tried: list[str] = []
    for place, path in _places(environment):
        if path is not None and path.is_file():
            return Found(path.resolve(), (*tried, place))
        tried.append(place)
    return Found(None, tuple(tried))


def _places(environment: Mapping[str, str]) -> Iterator[tuple[str, Path | None]]:
    given = environment.get(_VARIABLE)
    if given:
        yield f"${_VARIABLE} is {given}, which is not a file", Path(given)
    else:
        yield f"${_VARIABLE} is not set", None
    spec = find_spec("libfaketime")
    folders = spec.submodule_search_locations if spec is not None else None
    package = Path(next(iter(folders))) / _PACKAGE if folders else None
    yield "the Python package libfaketime is not installed", package
    for pattern in _DEBIAN:
        found = sorted(Path("/").glob(pattern.lstrip("/")))
        yield f"no {pattern}", found[0] if found else None
