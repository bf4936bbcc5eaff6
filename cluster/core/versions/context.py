"""The context as clients see it: an opaque token, bound to one key of one cluster.

A context names what its holder has seen, and a put with it discards just that. A forged
or misdirected one would silently discard versions that its sender never saw, so every
token carries a MAC over cluster, key and content.
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest

import msgspec
from dynamesis.cluster.core.protocol.messages import Key, State
from dynamesis.cluster.core.versions import clock

_MAC = 16
#: keys of which the last token is remembered, and bytes of one that is
_REMEMBERED, _SHORT = 4096, 512
#: versions that a token may name one by one. A reader's names hardly any; the context of a put's
#: answer names one more with each put that was not preceded by a read, if others write that key
MOST_SINGLE = 1024
_encode = msgspec.msgpack.Encoder().encode


class SeenVersions(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The content of a token: what its holder has seen, and which primary answered that read
    first, if it comes from one."""

    state: State
    fastest: str = ""


_decode = msgspec.msgpack.Decoder(SeenVersions).decode
_NOTHING_SEEN = SeenVersions({})


class BadContext(Exception):
    """The token was not handed out by this cluster for this key, or names too many versions."""


class Contexts:
    """Makes and reads tokens for one cluster."""

    def __init__(self, cluster: str, secret: str) -> None:
        key = blake2b(f"{cluster}\0{secret}".encode(), digest_size=32).digest()
        #: of the MAC, to be copied: a key need be taken in once
        self._keyed = blake2b(key=key, digest_size=_MAC)
        #: key -> the token that was made or found right last, and its content
        self._last: dict[Key, tuple[bytes, SeenVersions]] = {}

    def token(self, key: Key, context: State, fastest: str = "") -> bytes:
        """The token that covers `context`; empty for one that covers nothing."""
        return self.token_of(key, SeenVersions(clock.seen(context), fastest))

    def token_of(self, key: Key, seen: SeenVersions) -> bytes:
        """The same, of a state that holds nothing."""
        if not seen.state:
            return b""
        body = _encode(seen)
        token = self.mac(key, body) + body
        self._remember(key, token, seen)
        return token

    def read(self, key: Key, token: bytes) -> SeenVersions:
        """The content of `token`; b"" covers nothing. Raises BadContext."""
        if not token:
            return _NOTHING_SEEN
        last = self._last.get(key)
        if last is not None and compare_digest(last[0], token):
            return last[1]
        mac, body = token[:_MAC], token[_MAC:]
        if not compare_digest(mac, self.mac(key, body)):
            raise BadContext("the context was not handed out by this cluster for this key")
        try:
            seen = _decode(body)
        except msgspec.DecodeError as e:
            raise BadContext(f"the context cannot be read: {e}") from None
        if len(token) > _SHORT:
            single = sum([len(entry.extra) for entry in seen.state.values()])
            if single > MOST_SINGLE:
                raise BadContext(
                    f"the context names {single} versions one by one; it may name {MOST_SINGLE}: "
                    "read the key, and put with the context of that"
                )
        self._remember(key, token, seen)
        return seen

    @property
    def remembered(self) -> int:
        """How many keys have a token that is known again."""
        return len(self._last)

    def _remember(self, key: Key, token: bytes, seen: SeenVersions) -> None:
        last = self._last
        if len(last) >= _REMEMBERED and key not in last:
            last.clear()
        if len(token) <= _SHORT:
            last[key] = token, seen

    def mac(self, key: Key, body: bytes) -> bytes:
        """What binds `body` to its key and cluster."""
        mac = self._keyed.copy()
        mac.update(len(key).to_bytes(4, "big") + key + body)
        return mac.digest()
