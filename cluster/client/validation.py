"""What the library is given, judged before anything is sent.

A request that a node cannot read ends its connection, and then it is unknown what became
of the others on it. So types are checked here; sizes and ranges are the node's to judge,
which alone knows its limits.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from dynamesis.cluster.config.config import ConfigError, split_address
from dynamesis.cluster.core.protocol.messages import RequestOptions
from dynamesis.cluster.net.exceptions import DynamoError, failure


def key_bytes(key: object) -> bytes:
    """A key as it is sent; text in UTF-8. Raises BadRequest."""
    if isinstance(key, bytes):
        return key
    if isinstance(key, str):
        try:
            return key.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            text = f"key {key[:80]!r} cannot be written in UTF-8: {error}"
            raise failure("bad-request", text) from None
    raise _wrong("key", "bytes or str", key)


def some_bytes(name: str, value: object) -> bytes:
    """The bytes of a value, a context or a note. Raises BadRequest."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    hint = "; encode it first" if isinstance(value, str) else ""
    raise _wrong(name, "bytes", value, hint)


def some_text(name: str, value: object) -> str:
    """Text, "" for None. Raises BadRequest."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(name, "str", value)
    if not (value.isascii() or is_unicode(value)):
        raise failure("bad-request", f"{name} {value[:80]!r} cannot be written in UTF-8")
    return value


def is_unicode(text: str) -> bool:
    """Whether there is UTF-8 for it: there is none for a lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def yes_or_no(name: str, value: object) -> bool:
    """Raises BadRequest for anything but a bool."""
    if isinstance(value, bool):
        return value
    raise _wrong(name, "bool", value)


#: what a request asks for that asks for nothing
DEFAULTS = RequestOptions()
#: worked out once: that costs more than to check a request
_FIELDS = msgspec.structs.fields(RequestOptions)
_encode = msgspec.msgpack.Encoder().encode


def checked(options: object) -> RequestOptions:
    """RequestOptions whose fields are of the right types, and numbers that a message can carry.
    Raises BadRequest."""
    if not isinstance(options, RequestOptions):
        raise _wrong("options", "dynamesis.cluster.client.client.RequestOptions", options)
    if options is DEFAULTS:
        return options
    try:
        msgspec.convert(msgspec.structs.astuple(options), RequestOptions)
        _encode(options)
    except (msgspec.ValidationError, OverflowError):
        pass  # which field it is, and how it is called, is found one by one
    else:
        return options
    for field in _FIELDS:
        given = getattr(options, field.name)
        if given is field.default:
            continue
        try:
            msgspec.convert(given, field.type)
            _encode(given)
        except (msgspec.ValidationError, OverflowError) as error:
            raise failure("bad-request", f"option {field.name} is {given!r}: {error}") from None
    return options


def addresses(given: Sequence[str]) -> list[str]:
    """Raises TypeError for anything but a sequence of text, ValueError for an empty one, for
    what is not an address, and for one that comes twice."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise TypeError(f'addresses must be a list such as ["127.0.0.1:7101"], not {given!r}')
    if not given:
        raise ValueError("a client needs the address of one node at least")
    for address in given:
        if not isinstance(address, str):
            raise TypeError(f"an address is text, not {address!r}")
        try:
            split_address(address)
        except ConfigError as error:
            raise ValueError(str(error)) from None
    if len(set(given)) < len(given):
        raise ValueError(f"an address comes twice: {list(given)}")
    return list(given)


def text(name: str, given: object) -> str:
    """Raises TypeError for anything but text, ValueError for text without UTF-8."""
    if not isinstance(given, str):
        raise TypeError(f"{name} is text, not {type(given).__name__}")
    if not is_unicode(given):
        raise ValueError(f"{name} is text that cannot be written in UTF-8")
    return given


def duration(name: str, seconds: object) -> float:
    """Raises TypeError for anything but a number, ValueError unless it is above 0."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name} is a number of seconds, not {seconds!r}")
    if not seconds > 0:
        raise ValueError(f"{name} is {seconds:g}; it must be above 0 s")
    return float(seconds)


def whole(name: str, number: object) -> int:
    """Raises TypeError for anything but an integer, ValueError if it is below 0."""
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{name} is a whole number, not {number!r}")
    if number < 0:
        raise ValueError(f"{name} is {number}; it must be 0 or more")
    return number


def _wrong(name: str, wanted: str, given: object, hint: str = "") -> DynamoError:
    return failure("bad-request", f"{name} must be {wanted}, not {type(given).__name__}{hint}")
