"""Text that a terminal, XML or a page may get: keys and ids of a foreign history are anything."""

from __future__ import annotations

import re

#: What neither a terminal nor XML should get: keys and ids of a foreign history are anything.
_ODD = re.compile("[^\t\n -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def printable(text: str) -> str:
    """The text with control characters, and what is not a character, as escapes."""
    return _ODD.sub(lambda odd: odd[0].encode("unicode_escape").decode(), text)
