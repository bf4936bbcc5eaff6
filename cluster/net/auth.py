"""Authenticates nodes and administrators by the cluster's secret.

Both sides prove that they know it, and neither sends it (challenge and response, HMAC of
SHA-256). The accepting side sends a nonce with its HELLO; the dialling side answers with a
nonce of its own and a proof over both, and the other side's proof comes back as WELCOME.
A proof is bound to the cluster, to both names, the role and the direction, so that it
cannot be replayed, reflected, or used to speak as another node.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Literal

import msgspec
from dynamesis.cluster.core.protocol.messages import Hello

_NONCE = 16


def nonce() -> bytes:
    """A number used once."""
    return secrets.token_bytes(_NONCE)


def proof(
    secret: str, side: Literal["dialled", "accepted"], dialled: Hello, accepted: Hello
) -> bytes:
    """What only `side` of a conversation that knows `secret` can compute, given both HELLOs."""
    transcript = (
        side,
        accepted.cluster,
        dialled.role,
        dialled.node,
        accepted.node,
        dialled.nonce,
        accepted.nonce,
    )
    return hmac.digest(secret.encode(), msgspec.msgpack.encode(transcript), "sha256")


def proven(shown: bytes, expected: bytes) -> bool:
    """Whether the other side showed the proof that was expected, in constant time."""
    return hmac.compare_digest(shown, expected)
