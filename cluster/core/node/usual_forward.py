"""A put that another node coordinates, where all is as usual: this node is none of the key's
primaries, all of them are healthy, the client asks for no option, and this is the first try
and the first hop.

Then there is nothing to plan: hand it to the primary that is likely to answer soonest, and its
answer to the client. As soon as anything else happens (a refusal, a failure, time is up) the
put continues as a `PutRequest` from exactly where it is.
"""

from __future__ import annotations

from dynamesis.cluster.core.protocol.messages import Answer, ForwardPut, Put, PutReply
from dynamesis.cluster.core.requests.coordinator import Services
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.runtime.request_dedup import Respond
from dynamesis.cluster.core.runtime.runtime import Failure
from dynamesis.cluster.core.versions.context import SeenVersions


class UsualForward:
    """One put on its way through this node."""

    __slots__ = ("_call", "_deadline", "_general", "_put", "_respond", "_rest", "_s", "_seen")

    def __init__(
        self,
        services: Services,
        put: Put,
        seen: SeenVersions,
        respond: Respond,
        primaries: tuple[str, ...],
    ) -> None:
        self._s = services
        self._put = put
        self._seen = seen
        self._respond = respond
        #: the primaries, in the order in which they are tried
        self._rest = list(primaries)
        if seen.fastest in primaries:
            self._rest.remove(seen.fastest)
            self._rest.insert(0, seen.fastest)
        #: what continues with it once something unusual has happened
        self._general: PutRequest | None = None

        #: the call by which it was forwarded; 0 while it is not
        self._call = 0

    def start(self) -> None:
        s, put = self._s, self._put
        timeout = s.params.request_timeout
        self._deadline = s.runtime.after(timeout, self._expire)
        first = self._rest.pop(0)
        s.runtime.note("forwarded", to=first)
        self._call = rid = s.runtime.number()
        s.runtime.sent(first, rid, ForwardPut(rid, 1, put), timeout, self._came)

    def _came(self, outcome: Answer | Failure) -> None:
        if self._general is None and type(outcome) is PutReply:
            put, s = self._put, self._s
            s.runtime.cancel(self._deadline)
            self._respond(PutReply(put.rid, outcome.context, outcome.worth, outcome.siblings))
            s.admission.leave(len(put.value))
        else:
            (self._general or self._turn_general()).forwarded(outcome, self._rest)

    def abandon(self) -> None:
        """The client has gone."""
        (self._general or self._turn_general()).abandon()

    def _expire(self) -> None:
        (self._general or self._turn_general()).expire()

    def _turn_general(self) -> PutRequest:
        s = self._s
        general = self._general = PutRequest(s, self._put, self._seen, self._respond, 0)
        general.take_over_forwarded(s.whole_plan(self._put.key), self._deadline, self._call)
        return general
