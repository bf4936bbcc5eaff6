"""Numbers of a history without rounding: integers of any size, decimals as fractions.

What a store adds up is judged by its answers, digit by digit: an integer beyond 64
bits is a number like any other, and 0.1 + 0.2 is 0.3. Text, booleans, nil and values that
cannot be held (1e999999, a number of 5,000 digits) are not numbers. Where a history has
decimals, the store itself may have added binary floats: `rounding` bounds what that costs,
and a difference below it proves nothing either way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.op import Unheld

#: an exact number: Fraction where the history has a decimal point, an exponent, or a ratio
Number = int | Fraction

#: digits, and power of ten, beyond which a number is not held (Python converts 4,300 digits)
_DIGITS = 4000
#: digits that distinguish any float of 64 bits from all others
_FLOAT_DIGITS = 17
#: bytes of a number that is read at a time
_SHORT = 20
_RATIO = re.compile(r"[+-]?[0-9]+/[0-9]+")
_DECIMAL = re.compile(r"([+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)M?")


def exact_value(h: History, row: int) -> Any:
    """The value of a row, decoded with exact numbers: as `History.value_of`, but a number with
    a decimal point or exponent is a Fraction. A map with one key twice is Unheld."""
    number = int(h.value[row])
    return None if number < 0 else _decode(h, h.values[number])


def exact_values(h: History, rows: Iterable[int]) -> list[Any]:
    """The exact values of many rows, each distinct one decoded once."""
    known: dict[int, Any] = {-1: None}
    numbers = h.value[list(rows)].tolist()
    for number in set(numbers) - known.keys():
        known[number] = _decode(h, h.values[number])
    return [known[number] for number in numbers]


def _decode(h: History, raw: bytes) -> Any:
    if len(raw) < _SHORT and raw.isdigit():
        return int(raw)

    def text(value: Any) -> Any:
        return _named(h, value) if isinstance(value, str) else value

    def pairs(found: list[tuple[str, Any]]) -> Any:
        made = {key: text(value) for key, value in found}
        return made if len(made) == len(found) else Unheld(raw.decode())

    try:
        value = json.loads(
            raw, parse_int=_whole, parse_float=_fraction, object_pairs_hook=pairs
        )  # fmt: skip
    except (ValueError, RecursionError):
        return Unheld(raw.decode())
    return [text(item) for item in value] if isinstance(value, list) else text(value)


def _named(h: History, text: str) -> Any:
    """A string in place of a number that JSON cannot write: a ratio of EDN, or a decimal
    (`0.1M`) with more digits than a double has."""
    spelled = h.spelled.words.get(text)
    if spelled is None or len(spelled) > _DIGITS:
        return text
    if _RATIO.fullmatch(spelled):
        return Fraction(spelled) if int(spelled.rpartition("/")[2]) else text
    decimal = _DECIMAL.fullmatch(spelled)
    return _fraction(decimal[1]) if decimal else text


def _whole(text: str) -> Any:
    return int(text) if len(text) <= _DIGITS else Unheld(text)


def _fraction(text: str) -> Any:
    if len(text) > _DIGITS or abs(Decimal(text).adjusted()) > _DIGITS:
        return Unheld(text)
    return Fraction(text)


def is_number(value: Any) -> bool:
    """Is this an exact number? Booleans are not."""
    return type(value) is int or type(value) is Fraction


def parse_number(text: str) -> Number:
    """A number as a user writes it: 10, -3, 0.5, 1e3, 1/3. Raises ValueError."""
    plain = text.strip()
    decimal = _DECIMAL.fullmatch(plain)
    if len(plain) <= _DIGITS and _RATIO.fullmatch(plain) and int(plain.rpartition("/")[2]):
        return Fraction(plain)
    if decimal is None:
        raise ValueError(f"expected a number, got {plain[:40]!r}")
    found = _whole(plain) if plain.lstrip("+-").isdigit() else _fraction(decimal[1])
    if not is_number(found):
        raise ValueError(f"expected a number that can be held, got {plain[:20]!r}")
    number: Number = found
    return number


def from_float(value: float) -> Number:
    """The number of which a float was decoded: its shortest decimal. Raises ValueError for
    infinity and NaN."""
    return Fraction(repr(value))


def number_text(value: Number) -> str:
    """A number in digits: a decimal where it has an end, else a ratio."""
    if value.denominator == 1:
        return str(value.numerator)
    places, left = 0, value.denominator
    for prime in (2, 5):
        count = 0
        while left % prime == 0:
            left, count = left // prime, count + 1
        places = max(places, count)
    if left != 1:
        return str(value)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' * (value < 0)}{digits[:-places]}.{digits[-places:]}"


def number_json(value: Number) -> int | float | str:
    """A number for results.json: as a number where JSON readers keep it exactly, else text."""
    if value.denominator == 1:
        return value.numerator
    text = number_text(value)
    return float(text) if repr(float(value)) == text else text


def rounding(values: Iterable[Number]) -> Number:
    """How far a sum of these may be off where a store adds them as binary floats of 64 bits,
    in whatever order. 0 where all are integers, which need not be floats, and where one is
    given more exactly than a float can be: then the store has decimals or ratios."""
    numbers = list(values)
    if all(type(value) is int for value in numbers) or not all(map(_may_be_float, numbers)):
        return 0
    return sum((abs(Fraction(value)) for value in numbers), Fraction(0)) * len(numbers) / 2**52


def _may_be_float(value: Number) -> bool:
    """Can this be the text of a binary float of 64 bits? None is printed with more than 17 digits,
    unless all digits that it has are."""
    try:
        if Fraction(float(value)) == value:
            return True
    except OverflowError:
        return False
    text = number_text(value)
    return "/" not in text and len(text.replace(".", "").lstrip("-0")) <= _FLOAT_DIGITS
