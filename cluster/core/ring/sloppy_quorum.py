"""Selects the first N healthy nodes of a preference list (section 4.6).

Each of the N places belongs to a primary. While that is unhealthy, or once it has failed
to answer, the next healthy node further down the list holds the place for it. No node
ever holds two places, so counting places is counting nodes. Where zones are named, a
fallback of the primary's own zone comes first: there must be as many copies as before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec


class ReplicaSlot(msgspec.Struct, eq=False):
    """One of the N places: its `primary`, and its `holder`, the node asked now."""

    primary: str
    holder: str

    @property
    def hint_for(self) -> str | None:
        """The primary that the holder replaces; None where that is the holder itself."""
        return None if self.holder == self.primary else self.primary


class SloppyQuorum:
    """The N places of one request; `sloppy` False leaves every place to its primary."""

    def __init__(
        self,
        preference: Sequence[str],
        n: int,
        healthy: Callable[[str], bool],
        sloppy: bool,
        zone: Callable[[str], str | None],
        most: int | None,
    ) -> None:
        """`zone(node)`: its zone, None if it has none. `most`: places that the request asks
        for, None for all N."""
        self._healthy = healthy
        self._zone = zone
        self.sloppy = sloppy
        #: nodes that held a place and did not answer well
        self.failed: dict[str, None] = {}
        #: those of the key as the plan was made, also where the request asks for fewer places
        self.primaries = tuple(preference[:n])
        primaries = self.primaries[:most]
        #: with the primaries that are not asked because the request wants fewer
        self._spares = list(preference[len(primaries) :]) if sloppy else []
        self.places = [ReplicaSlot(primary, primary) for primary in primaries]
        for place in self.places:
            if not healthy(place.primary):
                self.replace(place)

    def make_whole(self, preference: Sequence[str]) -> None:
        """Give every place to its primary, as if all were healthy."""
        self.failed = {}
        self._spares = list(preference[len(self.places) :]) if self.sloppy else []
        for place in self.places:
            place.holder = place.primary

    def begun_with(self, primaries: Sequence[str]) -> None:
        """Give the places to the primaries that the request was begun with: they may be others
        by now."""
        now = [place.primary for place in self.places]
        self.primaries = tuple(primaries)
        if now != [*primaries]:
            self.places = [ReplicaSlot(primary, primary) for primary in primaries]
            others = [*now, *self._spares] if self.sloppy else []
            self._spares = [node for node in others if node not in primaries]

    def replace(self, place: ReplicaSlot) -> bool:
        """Hand `place` to the next healthy fallback; False when there is none left."""
        self.failed[place.holder] = None
        able = [node for node in self._spares if self._healthy(node)]
        if not able:
            return False
        home = self._zone(place.primary)
        place.holder = next((node for node in able if self._zone(node) == home), able[0])
        self._spares.remove(place.holder)
        return True

    def held_by(self, node: str) -> ReplicaSlot | None:
        """The place that `node` holds, if any."""
        for place in self.places:
            if place.holder == node:
                return place
        return None
