"""How many descriptors a process may have, and how many of them connections leave free."""

from __future__ import annotations

import resource
import sys

#: where the process may have more descriptors than this, it keeps more of them free of connections:
#: as many in proportion, since what is closed to make room keeps its descriptor until the others
#: that came with it were looked at
RESERVED_OF = 512


def most() -> int:
    """How many descriptors this process may have."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def reserved(of: int, least: int) -> int:
    """Of so many descriptors, those that connections leave free, of which there are `least` at
    least."""
    return max(least, of * least // RESERVED_OF)
