"""Every sequence of a few faults and a few requests, as words, equivalent ones merged.

Studies of real failures of such stores (Yuan and others, OSDI 2014) found that three events or
fewer bring about almost all of them, on three nodes or fewer, if their order is right. So all
orders of so few are played: small enough to be complete, and complete is what chance is not.

A word is a tuple of letters. A request: `p0` a put, `g0` a get, `d0` a delete, of client 0 or 1,
which asks node 0 or 1. A fault: `k2` kills node 2, `s` stops it, `c` cuts it off, `w` kills it and
empties its disk; `m` mends what node 2 suffers.

Two words are one where the same happens:

- a letter has no effect: a fault of a node that suffers one already, a mend of one that suffers
  none, or that nothing follows on, since the end of the load mends everything; whatever is read or
  deleted before anything is written; what breaks and is mended before that, and the disk of a node
  that is emptied while it is empty. A second disk is not emptied: the last copy of a write could
  rightly be lost
- neighbouring faults are of different nodes
- clients and their nodes change names: 0 is 1, and 1 is 0
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

Word = tuple[str, ...]

NODES, CLIENTS = 3, 2
REQUESTS = ("p", "g", "d")
BREAKS = ("k", "s", "c", "w")
MEND = "m"
#: in how many ways the two clients' nodes, and the third, can be named
NAMINGS = 6
_FAULTS = (*BREAKS, MEND)


@dataclass(frozen=True)
class Bounds:
    """How many faults and requests a word has at most; `kinds`: of requests."""

    faults: int = 3
    requests: int = 3
    kinds: tuple[str, ...] = REQUESTS

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if min(self.faults, self.requests) < 0 or not set(self.kinds) <= set(REQUESTS):
            raise ValueError(f"{self}: takes 0 or more faults and requests, of {REQUESTS}")

    @property
    def letters(self) -> tuple[str, ...]:
        """All letters."""
        requests = [f"{kind}{client}" for kind in self.kinds for client in range(CLIENTS)]
        return (*requests, *(f"{fault}{node}" for fault in _FAULTS for node in range(NODES)))


def sequences(bounds: Bounds) -> int:
    """How many sequences there are before any two are merged, under every naming of the nodes."""
    requests, faults = CLIENTS * len(bounds.kinds), NODES * len(_FAULTS)
    return NAMINGS * sum(  # type: ignore[no-any-return]  # powers of whole numbers
        comb(f + r, f) * faults**f * requests**r
        for f in range(bounds.faults + 1)
        for r in range(bounds.requests + 1)
    )


def is_request(letter: str) -> bool:
    return letter[0] in REQUESTS


# ---- the one word for all that are equivalent


def canonical(word: Word) -> Word:
    """The word that is played in place of this one; empty where nothing happens."""
    kept = _sorted(_effective(word))
    return min(kept, _sorted(_swapped(kept)))


class _State:
    """What the letters so far have done: what each node suffers, whose disk was emptied, and
    whether anything was written."""

    def __init__(self) -> None:
        self.suffers: dict[str, str] = {}
        self.emptied: str | None = None
        self.written = False

    def take(self, letter: str) -> str | None:
        """Take in a letter; the letter that has the same effect, None where it has none."""
        kind, name = letter[0], letter[1]
        if kind in REQUESTS:
            self.written |= kind == "p"
            return letter if self.written else None
        if kind == MEND:
            return letter if self.suffers.pop(name, None) is not None else None
        if name in self.suffers:
            return None
        if kind == "w" and not self.written:
            letter = f"k{name}"
        elif kind == "w":
            if self.emptied not in (None, name):
                return None
            self.emptied = name
        self.suffers[name] = kind
        return letter


def _effective(word: Word) -> Word:
    """Without the letters that have no effect."""
    state, kept = _State(), list[str]()
    for letter in word:
        same = state.take(letter)
        if same is None:
            continue
        if same[0] == MEND and not state.written:
            kept = [each for each in kept if each[1] != same[1]]
        else:
            kept.append(same)
    if not state.written:
        return ()
    last = max(at for at, letter in enumerate(kept) if is_request(letter))
    return tuple([each for at, each in enumerate(kept) if at < last or not _idle(kept, at)])


def _idle(word: list[str], at: int) -> bool:
    """Whether the letter there, after the last request, mends what the end would mend."""
    name = word[at][1]
    return word[at][0] == MEND and not any(letter[1] == name for letter in word[at + 1 :])


def _sorted(word: Word) -> Word:
    """Neighbouring faults in the order of their nodes."""
    found: list[str] = []
    faults: list[str] = []
    for letter in word:
        if is_request(letter):
            found += [*sorted(faults, key=lambda fault: fault[1]), letter]
            faults = []
        else:
            faults.append(letter)
    return (*found, *sorted(faults, key=lambda fault: fault[1]))


_OTHER = {"0": "1", "1": "0"}


def _swapped(word: Word) -> Word:
    """Clients 0 and 1, and their nodes, under each other's names."""
    return tuple([letter[0] + _OTHER.get(letter[1], letter[1]) for letter in word])


# ---- all of them


def words(bounds: Bounds) -> Iterator[Word]:
    """Every word that is canonical and not empty, short ones first among those that begin alike."""
    yield from _longer((), bounds, bounds.letters)


def _longer(word: Word, bounds: Bounds, letters: tuple[str, ...]) -> Iterator[Word]:
    requests = sum(map(is_request, word))
    for letter in letters:
        asks = is_request(letter)
        if asks and requests >= bounds.requests:
            continue
        if not asks and len(word) - requests >= bounds.faults:
            continue
        longer = (*word, letter)
        if not _continues(longer):
            continue
        if canonical(longer) == longer:
            yield longer
        yield from _longer(longer, bounds, letters)


def _continues(word: Word) -> bool:
    """Whether a canonical word may begin so: every letter has an effect, though one may need a
    later request for that, and faults that are neighbours are in order."""
    state = _State()
    for letter in word:
        if state.take(letter) != letter:
            return False
        if letter[0] == MEND and not state.written:
            return False
    return (
        len(word) < 2
        or is_request(word[-1])
        or is_request(word[-2])
        or (word[-2][1] <= word[-1][1])
    )
