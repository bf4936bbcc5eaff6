"""EDN, as Jepsen and Clojure print it: a reader of forms.

JSON has no keywords, symbols, characters or sets. The reader gives them as strings and lists
that remember how they were spelled (`edn_forms`); tagged elements are the values that
they tag; numbers that JSON has not (##Inf, 1/3, decimals beyond a double) keep their names.
Where such a name meets a string of the same letters is for `checkers.formats.edn_values` to settle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from dynamesis.checkers.formats.edn_atoms import (
    CHAR_NAMES,
    WORDS,
    BadToken,
    read_atom,
    read_character,
    read_string,
)
from dynamesis.checkers.formats.edn_forms import EdnSet, Word, dumps, plain, quoted
from dynamesis.checkers.history.op import JsonObject
from dynamesis.checkers.history.spelling import freeze

_TOKEN = re.compile(
    r"""(?:[\s,]|;[^\n]*+)*+(?:
    (?P<atom>[^\s,\[\](){}";\\\#][^\s,\[\](){}";\\]*+ | \#\#[^\s,\[\](){}";\\]++)
    | (?P<open>\#?\{|[\[(]) | (?P<close>[\])}]) | (?P<string>"(?:\\.|[^"\\])*+")
    | (?P<discard>\#_) | (?P<tag>\#:?[A-Za-z][\w./\-]*+) | (?P<char>\\(?:\w+|\S))
    | (?P<bare>\#'[^\s,\[\](){}";\\]++) | (?P<regex>\#"(?:\\.|[^"\\])*+") )""",
    re.VERBOSE | re.DOTALL,
)
_BLANK = re.compile(r"(?:[\s,]|;[^\n]*+)*+")
_CLOSES = {"{": "}", "#{": "}", "[": "]", "(": ")"}


class EdnError(ValueError):
    """Text that is not EDN; the message has what was expected, `at` is where in the text.
    `ended`: what was missing may come in text that follows."""

    def __init__(self, message: str, at: int = 0, ended: bool = False) -> None:
        super().__init__(message)
        self.at, self.ended = at, ended


class SameKeys(ValueError):
    """Two keys of one map that JSON would spell alike."""


_NOTHING = object()


class Parser:
    """Reads one form after another from a text. Of maps, the keys in `apart` keep their EDN
    spelling."""

    def __init__(self, text: str, at: int = 0, apart: frozenset[str] = frozenset()) -> None:
        self._text, self.at, self._apart = text, at, apart
        #: words that were read before: there are few in a history, and each comes often
        self._known: dict[str, Any] = dict(WORDS)
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
                found = read_atom(match[kind])
                if found.__class__ is Word:
                    self._known[match[kind]] = found
                return found
            if kind == "open":
                return self._collection(match["open"], at)
            if kind == "string":
                return read_string(match["string"])
            if kind == "char":
                char = read_character(match["char"][1:])
                return Word.of(char, f"\\{CHAR_NAMES.get(char, char)}")
            if kind == "regex":
                return Word.of(match["regex"][2:-1], match["regex"])
        except BadToken as bad:
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
        text = key.text if isinstance(key, Word) else quoted(key)
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


def _tagged(tag: str, value: Any) -> Any:
    """The value; text remembers its tag. `#:a{:b 1}` is `{:a/b 1}`."""
    if tag.startswith("#:") and value.__class__ is dict:
        return {_within(tag[2:], key): item for key, item in value.items()}
    if value.__class__ is str:
        return Word.of(value, f"{tag} {quoted(value)}")
    return value


def _within(namespace: str, key: str) -> str:
    """A key of a map that has this namespace: of keywords those without one get it, and `:_/b` is
    the one that has none."""
    if not isinstance(key, Word) or not key.text.startswith(":"):
        return key
    name = key[2:] if key.startswith("_/") else key if "/" in key else f"{namespace}/{key}"
    return Word.of(name, f":{name}")


def _key(key: Any, apart: frozenset[str]) -> str:
    """A key of a map as a string."""
    if isinstance(key, str):
        if key in apart:
            text = key.text if isinstance(key, Word) else quoted(key)
            return Word.of(text, text)
        return key
    name = msgspec.json.encode(plain(key)).decode()
    text = dumps(key)
    return Word.of(text if name in apart else name, text)
