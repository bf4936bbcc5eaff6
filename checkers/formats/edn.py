"""EDN, as Jepsen and Clojure print it: a reader of forms, and a writer.

JSON has no keywords, symbols, characters or sets. The reader gives them as strings and lists
that remember how they were spelled (`Word`, `EdnSet`); tagged elements are the values that
they tag; numbers that JSON has not (##Inf, 1/3, decimals beyond a double) keep their names.
Where such a name meets a string of the same letters is for `checkers.formats.edn_values` to settle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from math import isfinite
from typing import Any

import msgspec
from dynamesis.checkers.history.op import JsonObject
from dynamesis.checkers.history.spelling import MICRO, freeze

_TOKEN = re.compile(
    r"""(?:[\s,]|;[^\n]*+)*+(?:
    (?P<atom>[^\s,\[\](){}";\\\#][^\s,\[\](){}";\\]*+ | \#\#[^\s,\[\](){}";\\]++)
    | (?P<open>\#?\{|[\[(]) | (?P<close>[\])}]) | (?P<string>"(?:\\.|[^"\\])*+")
    | (?P<discard>\#_) | (?P<tag>\#:?[A-Za-z][\w./\-]*+) | (?P<char>\\(?:\w+|\S))
    | (?P<bare>\#'[^\s,\[\](){}";\\]++) | (?P<regex>\#"(?:\\.|[^"\\])*+") )""",
    re.VERBOSE | re.DOTALL,
)
_BLANK = re.compile(r"(?:[\s,]|;[^\n]*+)*+")
_INT = re.compile(r"[+-]?(?:0|[1-9]\d*)N?$")
_RADIX = re.compile(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]+)|([2-9]|[12]\d|3[0-6])r(\w+))N?$")
_FLOAT = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?M?$")
_RATIO = re.compile(r"[+-]?\d+/\d+$")
_CLOSES = {"{": "}", "#{": "}", "[": "]", "(": ")"}
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
_CHAR_NAMES = {char: name for name, char in _CHARS.items()}
_WORDS = {"nil": None, "true": True, "false": False}


class EdnError(ValueError):
    """Text that is not EDN; the message has what was expected, `at` is where in the text.
    `ended`: what was missing may come in text that follows."""

    def __init__(self, message: str, at: int = 0, ended: bool = False) -> None:
        super().__init__(message)
        self.at, self.ended = at, ended


class Word(str):
    """A form that EDN distinguishes from strings, as a string: `text` is how it was spelled."""

    __slots__ = ("text",)
    text: str

    @classmethod
    def of(cls, name: str, text: str) -> Word:
        word = cls(name)
        word.text = text
        return word


class EdnSet(list[Any]):
    """The elements of a set, in the order in which they were written."""


class SameKeys(ValueError):
    """Two keys of one map that JSON would spell alike."""


_NOTHING = object()


class Parser:
    """Reads one form after another from a text. Of maps, the keys in `apart` keep their EDN
    spelling."""

    def __init__(self, text: str, at: int = 0, apart: frozenset[str] = frozenset()) -> None:
        self._text, self.at, self._apart = text, at, apart
        #: words that were read before: there are few in a history, and each comes often
        self._known: dict[str, Any] = dict(_WORDS)
        #: where the last token began
        self.began = at

    def forms(self) -> Iterator[Any]:
        """Every form to the end of the text. Raises EdnError."""
        while (match := self.next()) is not None:
            if match.lastgroup == "close":
                raise EdnError(f"expected a value, got {match['close']!r}", self.began)
            form = self.form(match)
            if form is not _NOTHING:
                yield form

    def next(self) -> re.Match[str] | None:
        """The next token; None at the end. Raises EdnError."""
        match = _TOKEN.match(self._text, self.at)
        if match is not None:
            self.at, self.began = match.end(), match.start(match.lastgroup or 0)
            return match
        blank = _BLANK.match(self._text, self.at)
        self.began = blank.end() if blank else self.at
        rest = self._text[self.began : self.began + 20]
        if rest:
            ended = rest.startswith(('"', "#", "\\"))
            what = f"a value, got {rest!r}"
            if rest[0] == '"':
                what = "the end of a string, got the end"
            raise EdnError(f"expected {what}", self.began, ended)
        self.began = len(self._text.rstrip())
        return None

    def form(self, match: re.Match[str]) -> Any:
        """The form that begins with this token. Raises EdnError."""
        kind, at = match.lastgroup, self.began
        try:
            if kind == "atom" or kind == "bare":
                found = _atom(match[kind])
                if found.__class__ is Word:
                    self._known[match[kind]] = found
                return found
            if kind == "open":
                return self._collection(match["open"], at)
            if kind == "string":
                return _string(match["string"])
            if kind == "char":
                char = _char(match["char"][1:])
                return Word.of(char, f"\\{_CHAR_NAMES.get(char, char)}")
            if kind == "regex":
                return Word.of(match["regex"][2:-1], match["regex"])
        except _Bad as bad:
            raise EdnError(str(bad), at) from None
        if kind == "tag":
            return _tagged(match["tag"], self._required(f"a value after {match['tag']}"))
        self._required("a value after #_")
        return _NOTHING

    def skip(self, form: Any) -> bool:
        """Whether this is what a discarded form leaves: nothing."""
        return form is _NOTHING

    def _required(self, what: str) -> Any:
        form: Any = _NOTHING
        while form is _NOTHING:
            match = self.next()
            if match is None or match.lastgroup == "close":
                raise EdnError(f"expected {what}", self.began, match is None)
            form = self.form(match)
        return form

    def _collection(self, opening: str, at: int) -> Any:
        items: list[Any] = []
        add, text, token, known = items.append, self._text, _TOKEN.match, self._known
        while True:
            match = token(text, self.at)
            if match is not None and match.lastgroup == "atom":
                # the usual case, without a call
                self.at = match.end()
                atom = match["atom"]
                form = known.get(atom, _NOTHING)
                if form is _NOTHING:
                    self.began = match.start("atom")
                    form = self.form(match)
                add(form)
                continue
            match = self.next()
            if match is None:
                raise EdnError(self._missing(opening, at, "the end"), self.began, True)
            if match.lastgroup == "close":
                if match["close"] != _CLOSES[opening]:
                    message = self._missing(opening, at, repr(match["close"]))
                    raise EdnError(message, self.began)
                break
            form = self.form(match)
            if form is not _NOTHING:
                add(form)
        if opening == "{":
            return self._map(items, at)
        return _set(items, at) if opening == "#{" else items

    def _missing(self, opening: str, at: int, got: str) -> str:
        lines = self._text.count("\n", at, self.began)
        above = f" {lines} line{'s' * (lines > 1)} above" if lines else ""
        return f"expected {_CLOSES[opening]!r} for the {opening!r}{above}, got {got}"

    def _map(self, items: list[Any], at: int) -> JsonObject:
        if len(items) % 2:
            raise EdnError("expected a value for the last key of a map", at)
        keys = [_key(k, self._apart) for k in items[::2]]
        made = dict(zip(keys, items[1::2], strict=True))
        if len(made) < len(keys):
            _refuse_twice(keys, at)
        return made


def _refuse_twice(keys: list[str], at: int) -> None:
    """The same key twice, or two that only look alike?"""
    seen: dict[str, str] = {}
    for key in keys:
        text = key.text if isinstance(key, Word) else _quoted(key)
        if seen.setdefault(key, text) != text:
            raise SameKeys(str(key))
    twice = next(key for key in seen if keys.count(key) > 1)
    raise EdnError(f"expected each key of a map once, got {seen[twice]} twice", at)


def _set(items: list[Any], at: int) -> EdnSet:
    try:
        alike = len(set(items)) < len(items)
    except TypeError:
        alike = True
    if alike:
        # what Python thinks equal (1, 1.0 and true) EDN may not
        names = [(freeze(plain(i)), isinstance(i, Word), isinstance(i, EdnSet)) for i in items]
        if len(set(names)) < len(names):
            raise EdnError("expected each element of a set once, got one twice", at)
    return EdnSet(items)


def plain(value: Any) -> Any:
    """A form as plain JSON: words are strings, sets are lists."""
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value


def _tagged(tag: str, value: Any) -> Any:
    """The value; text remembers its tag."""
    if value.__class__ is str:
        return Word.of(value, f"{tag} {_quoted(value)}")
    return value


def _key(key: Any, apart: frozenset[str]) -> str:
    """A key of a map as a string."""
    if isinstance(key, str):
        if key in apart:
            text = key.text if isinstance(key, Word) else _quoted(key)
            return Word.of(text, text)
        return key
    name = msgspec.json.encode(plain(key)).decode()
    text = dumps(key)
    return Word.of(text if name in apart else name, text)


def _quoted(text: str) -> str:
    return msgspec.json.encode(str(text)).decode()


class _Bad(ValueError):
    """A malformed token; the message has the reason."""


def _atom(atom: str) -> Any:
    try:
        number = _number(atom)
    except (ValueError, ArithmeticError):
        raise _Bad(f"expected a number that can be held, got {atom[:20]!r}") from None
    if number is not None:
        return number
    if atom in _WORDS:
        return _WORDS[atom]
    named = atom.removeprefix(":")
    var = atom.startswith("#'")
    if not var and not _NAMED.match(named) and (named == atom or not named[:1].isdigit()):
        raise _Bad(f"expected a value, got {atom[:20]!r}")
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
        exact = abs(ratio) < 1 << 1000 and Fraction(float(ratio)) == ratio
        return float(ratio) if exact else Word.of(str(ratio), atom)
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


def _char(name: str) -> str:
    if len(name) == 1:
        return name
    if name in _CHARS:
        return _CHARS[name]
    if re.fullmatch("u[0-9a-fA-F]{4}", name):
        return _scalar(int(name[1:], 16))
    if re.fullmatch("o[0-3]?[0-7]{1,2}", name):
        return _scalar(int(name[1:], 8))
    raise _Bad(f"expected a character, got {name[:20]!r} after a backslash")


def _string(quoted: str) -> str:
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
    raise _Bad(f"expected an escape that EDN has, got {match[0]!r} in a string")


def _scalar(code: int) -> str:
    if 0xD800 <= code < 0xE000:
        raise _Bad(f"expected a character, got half of one, {code:x}")
    return chr(code)


def dumps(value: Any, keywords: bool = False) -> str:
    """A JSON-able value as EDN. With `keywords`, the first word of each micro-operation is
    one."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Word):
        return value.text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{dumps(k)} {dumps(v, keywords)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        words = [dumps(item, keywords) for item in value]
        if keywords and len(value) == 3 and isinstance(value[0], str) and value[0] in MICRO:
            words[0] = f":{value[0]}"
        opening, closing = ("#{", "}") if isinstance(value, EdnSet) else ("[", "]")
        return opening + " ".join(words) + closing
    return msgspec.json.encode(value).decode()
