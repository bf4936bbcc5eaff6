"""Text that a terminal, XML or a page may get: keys and ids of a foreign history are anything."""

from __future__ import annotations

import re

#: What neither a terminal nor XML should get: keys and ids of a foreign history are anything. Also
#: what turns the direction of the text beside it, ends a line, or cannot be seen, so that two keys
#: that differ would read alike (joiners stay: some scripts and emoji need them).
_ODD = re.compile(
    "[^\t\n -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
    "|[\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
    "|[\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """The text with control characters, and what is not a character, as escapes."""
    return _ODD.sub(lambda odd: odd[0].encode("unicode_escape").decode(), text)
