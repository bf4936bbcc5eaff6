"""Whether a program can be preloaded: read from its file before anything is started."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

_ELF = b"\x7fELF"
_INTERPRETER = 3
_GO = b"\xff Go buildinf:"
#: interpreters of interpreters end somewhere
_DEEPEST = 4


def not_preloadable(program: str, depth: int = 0) -> str | None:
    """Why LD_PRELOAD would not catch what this program (a path, or a name on the PATH) dials;
    None where nothing speaks against it. A script is judged by its interpreter."""
    found = shutil.which(program)
    if found is None or depth > _DEEPEST:
        return None
    path = Path(found)
    try:
        with path.open("rb") as file:
            head = file.read(4096)
            if head.startswith(b"#!"):
                return not_preloadable(_interpreter(head), depth + 1)
            if not head.startswith(_ELF):
                return None
            if not _has_interpreter(head):
                return f"{path} is linked statically"
            if _GO in head + file.read():
                return f"{path} is a Go program, which makes its own system calls"
            if path.stat().st_mode & 0o6000:
                return f"{path} changes its user when it starts, and then nothing is preloaded"
    except OSError:
        return None
    return None


def _interpreter(head: bytes) -> str:
    words = head[2:].split(b"\n", 1)[0].decode("utf-8", "replace").split()
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return words[0] if words else ""


def _has_interpreter(head: bytes) -> bool:
    """Whether an ELF file names a dynamic loader, in its program headers."""
    wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
    start = struct.unpack_from(order + ("Q" if wide else "I"), head, 32 if wide else 28)[0]
    size, count = struct.unpack_from(order + "HH", head, 54 if wide else 42)
    places = range(start, start + size * count, size or 1)
    kinds = (struct.unpack_from(order + "I", head, at)[0] for at in places if at + 4 <= len(head))
    return _INTERPRETER in kinds
