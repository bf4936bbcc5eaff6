"""The atoms of EDN, from their letters: names, numbers, characters and strings."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from math import isfinite
from typing import Any

from dynamesis.checkers.formats.edn_forms import Word

_INT = re.compile(r"[+-]?(?:0|[1-9]\d*)N?$")
_RADIX = re.compile(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]+)|([2-9]|[12]\d|3[0-6])r(\w+))N?$")
_FLOAT = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?M?$")
_RATIO = re.compile(r"[+-]?\d+/\d+$")
_NAMED = re.compile(r"\#\#-?(Inf|NaN)$|[^\W\d]|[.*+!\-_?$%&=<>/|][^\d]|[.*+!\-_?$%&=<>/|]$")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}
_CHARS = {
    "newline": "\n",
    "space": " ",
    "tab": "\t",
    "return": "\r",
    "backspace": "\b",
    "formfeed": "\f",
}
CHAR_NAMES = {char: name for name, char in _CHARS.items()}
WORDS = {"nil": None, "true": True, "false": False}


class BadToken(ValueError):
    """A malformed token; the message has the reason."""


def read_atom(atom: str) -> Any:
    """The value of a name or a number. Raises BadToken."""
    try:
        number = _number(atom)
    except (ValueError, ArithmeticError):
        raise BadToken(f"expected a number that can be held, got {atom[:20]!r}") from None
    if number is not None:
        return number
    if atom in WORDS:
        return WORDS[atom]
    named = atom.removeprefix(":")
    var = atom.startswith("#'")
    if not var and not _NAMED.match(named) and (named == atom or not named[:1].isdigit()):
        raise BadToken(f"expected a value, got {atom[:20]!r}")
    return Word.of(named, atom)


def _number(atom: str) -> Any:
    """The number that an atom is; None if it is none. Raises ValueError, ArithmeticError."""
    if _INT.match(atom):
        return int(atom.rstrip("N"))
    radix = _RADIX.match(atom)
    if radix:
        sign, hexadecimal, octal, base, digits = radix.groups()
        if base:
            found = int(digits, int(base))
        else:
            found = int(hexadecimal, 16) if hexadecimal else int(octal, 8)
        return -found if sign == "-" else found
    if _FLOAT.match(atom):
        return _decimal(atom) if atom.endswith("M") else _float(atom)
    if _RATIO.match(atom):
        over, under = map(int, atom.split("/"))
        ratio = Fraction(over, under)
        if ratio.denominator == 1:
            return int(ratio)
        # what no float is stays as Clojure prints it, in lowest terms: 2/6 and 1/3 are one number
        exact = abs(ratio) < 1 << 1000 and Fraction(float(ratio)) == ratio
        return float(ratio) if exact else Word.of(str(ratio), str(ratio))
    return None


def _float(atom: str) -> float:
    if re.match(r"[+-]?0\d", atom) and "." not in atom and "e" not in atom.lower():
        raise ValueError("digits beyond 7 in an octal number")
    number = float(atom)
    if not isfinite(number):
        raise OverflowError
    return number


def _decimal(atom: str) -> Any:
    """A decimal: a float where that loses nothing, else its digits."""
    exact = Decimal(atom[:-1])
    number = float(exact)
    if isfinite(number) and Decimal(repr(number)) == exact:
        return number
    sign, digits, exponent = exact.as_tuple()
    text = "".join(map(str, digits))
    short = text.rstrip("0")
    power = int(exponent) + len(text) - len(short)
    return Word.of(f"{'-' * sign}{short}E{power}M", atom)


def read_character(name: str) -> str:
    """The character that a backslash and this name are. Raises BadToken."""
    if len(name) == 1:
        return name
    if name in _CHARS:
        return _CHARS[name]
    if re.fullmatch("u[0-9a-fA-F]{4}", name):
        return _scalar(int(name[1:], 16))
    if re.fullmatch("o[0-3]?[0-7]{1,2}", name):
        return _scalar(int(name[1:], 8))
    raise BadToken(f"expected a character, got {name[:20]!r} after a backslash")


def read_string(quoted: str) -> str:
    """The text of a string in its quotes. Raises BadToken."""
    if "\\" not in quoted:
        return quoted[1:-1]
    return _ESCAPE.sub(_escaped, quoted[1:-1])


def _escaped(match: re.Match[str]) -> str:
    code = match[1]
    if code in _ESCAPES:
        return _ESCAPES[code]
    if code[0] == "u" and len(code) == 5:
        return _scalar(int(code[1:], 16))
    if code.isdigit() and code.isascii():
        return _scalar(int(code, 8))
    raise BadToken(f"expected an escape that EDN has, got {match[0]!r} in a string")


def _scalar(code: int) -> str:
    if 0xD800 <= code < 0xE000:
        raise BadToken(f"expected a character, got half of one, {code:x}")
    return chr(code)
