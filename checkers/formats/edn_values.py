"""The values of an EDN history as JSON, so that what differs in EDN differs in JSON.

A keyword `:a` is held as the string "a", since that is what models, options and other
formats call it. That is one name for two things only where the file has the string "a" too;
then both are held as they are spelled, `:a` and `"a"`. Which names those are is known when
the file was read, so that it is read again (`clashes`). The same for keys of maps: `{1 x}`
and `{"1" x}`. A set is held as a sorted array.
"""

from __future__ import annotations

from typing import Any

import msgspec
from dynamesis.checkers.formats.edn_forms import EdnSet, Word
from dynamesis.checkers.history.op import canonical
from dynamesis.checkers.history.spelling import MICRO, Spelling

_encode = msgspec.json.encode


class Values:
    """Turns forms into JSON-able values and remembers how they were spelled. Names in `apart`
    are held as they are spelled (keys of maps are so by the parser)."""

    def __init__(self, apart: frozenset[str] = frozenset()) -> None:
        self._apart = apart
        self._words: dict[str, str] = {}
        self._strings: set[str] = set()
        self._keys: dict[str, str] = {}
        self._sets: set[bytes] = set()
        self._micro: set[str] = set()
        #: names that are two things: in values, and as keys of maps
        self.clashes: set[str] = set()
        self.key_clashes: set[str] = set()

    def hold(self, value: Any, read: bool = False) -> Any:
        """A form as a value; `read`: a set is what a read showed, and no element."""
        if read and isinstance(value, EdnSet):
            return self._array(value)
        if read and value.__class__ is list and len(value) == 2 and isinstance(value[1], EdnSet):
            return [self.hold(value[0]), self._array(value[1])]
        return self._hold(value)

    def note(self, words: set[bytes], strings: set[bytes]) -> None:
        """Names that were read without this class: keywords, and strings (EDN, unescaped)."""
        for name in map(bytes.decode, words):
            self._word(Word.of(name, f":{name}"))
            if name in MICRO:
                self._micro.add(name)
        for string in strings:
            self._string(string.decode())

    def note_key(self, name: str) -> None:
        """A keyword that is a key of a map."""
        self._key(Word.of(name, f":{name}"))

    def spelling(self) -> Spelling:
        """How the values so far are spelled."""
        sets, micro = frozenset(self._sets), frozenset(self._micro)
        return Spelling(True, self._words, self._keys, sets, micro)

    def _hold(self, value: Any) -> Any:
        kind = value.__class__
        if kind is Word:
            return self._word(value)
        if kind is str:
            return self._string(value)
        if kind is list:
            first = value[0] if len(value) == 3 else None
            if first.__class__ is Word and first in MICRO and first.text == f":{first}":
                self._micro.add(str(first))
                return [str(first), self._hold(value[1]), self._hold(value[2])]
            return [self._hold(item) for item in value]
        if kind is EdnSet:
            found = self._array(value)
            self._sets.add(_encode(found))
            return found
        if kind is dict:
            return {self._key(key): self._hold(item) for key, item in value.items()}
        return value

    def _array(self, value: EdnSet) -> list[Any]:
        """A set in an order of its own: sets are equal whatever the order of elements."""
        items = [self._hold(item) for item in value]
        kinds = {item.__class__ for item in items}
        if kinds in ({int}, {str}):
            return sorted(items)
        return sorted(items, key=canonical)

    def _word(self, word: Word) -> str:
        name = str(word)
        if name in self._apart:
            name = word.text if word.text != name else f"'{name}"
        if self._words.setdefault(name, word.text) != word.text or name in self._strings:
            self.clashes.add(name)
        return name

    def _string(self, text: str) -> str:
        if text in self._apart:
            name = _encode(text).decode()
            self._words[name] = name
            if name in self._strings:  # there is a string with these very quotes
                self.clashes.add(name)
            return name
        self._strings.add(text)
        if text in self._words:
            self.clashes.add(text)
        return text

    def _key(self, key: str) -> str:
        name = str(key)
        text = key.text if isinstance(key, Word) else _encode(name).decode()
        if self._keys.setdefault(name, text) != text:
            self.key_clashes.add(name)
        return name
