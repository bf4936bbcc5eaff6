"""Any EDN value, printed in any layout, is read back; a form that is cut off never is."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from itertools import cycle, permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from dynamesis.checkers.formats.edn import Parser
from dynamesis.checkers.formats.edn_forms import EdnSet, Word
from dynamesis.checkers.formats.io import Format, read_any
from dynamesis.checkers.history.history import History, HistoryError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples

# An EDN value as a tree that can be compared: what differs in EDN differs here.
NAMES = st.sampled_from(["a", "b", "id", "append", "r", "w", "x1", "ok", "read"])
QUOTED = st.text(st.sampled_from('ab1 :\\"\n\t,;[]{}()#é中'), max_size=6)
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
LEAVES = st.one_of(
    st.just(("nil", "")),
    st.booleans().map(lambda b: ("bool", "true" if b else "false")),
    st.one_of(st.integers(-3, 3), st.integers(-(2**70), 2**70)).map(lambda n: ("int", str(n))),
    FLOATS.map(lambda f: ("float", repr(f))),
    NAMES.map(lambda n: ("word", f":{n}")),
    NAMES.map(lambda n: ("word", n)),
    st.sampled_from([":1", ":k/v", "a.b/c", "->", "##Inf", "##NaN", "1/3", "2/7", "\\a", "\\tab",
                     "\\(", '#inst "2020-01-01"', '#uuid "u1"']).map(lambda t: ("word", t)),
    st.one_of(NAMES, QUOTED, st.sampled_from(["1/3", "##Inf", ":a", "\\a", '"a"', "1"])).map(
        lambda s: ("string", s)
    ),
)  # fmt: skip


def read_key(pair: tuple[Any, Any]) -> object:
    """A key as it is read: of "a", a and :a a map has one at most, and is refused with two."""
    (kind, held), _ = pair
    return str(held).removeprefix(":") if kind in ("word", "string") else (kind, held)


def collections(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=4).map(lambda items: ("list", tuple(items))),
        # the mark keeps a set apart from a vector of the same elements, which JSON does not
        st.sets(inner, max_size=3).map(lambda s: ("set", frozenset({*s, ("word", ":in-set")}))),
        st.lists(st.tuples(inner, inner), max_size=3, unique_by=read_key).map(
            lambda pairs: ("map", frozenset(pairs))
        ),
    )


VALUES = st.recursive(LEAVES, collections, max_leaves=8)
BLANKS = st.sampled_from(
    [" ", "\n", ",", "\t", " \n  ", " ; no ] } form\n", " #_ {:a [1]} ", " #_#_ 1 2 ", "\r\n"]
)


def escaped(text: str) -> str:
    return msgspec.json.encode(text).decode()


def ordered(held: Any) -> list[Any]:
    return sorted(held, key=repr)


def printed(value: Any, blank: Callable[[], str]) -> str:
    """The tree as EDN, with what separates forms drawn anew each time."""
    kind, held = value
    if kind == "string":
        return escaped(held)
    if kind == "list":
        opening, closing = ("(", ")") if blank() == "\n" else ("[", "]")
        return opening + "".join(printed(v, blank) + blank() for v in held) + closing
    if kind == "set":
        return "#{" + blank() + "".join(printed(v, blank) + blank() for v in ordered(held)) + "}"
    if kind == "map":
        pairs = ordered(held)
        parts = [printed(k, blank) + blank() + printed(v, blank) + blank() for k, v in pairs]
        return "{" + "".join(parts) + blank() + "}"
    return held or "nil"


def tree(form: Any) -> Any:
    """What the parser gives as such a tree."""
    if form is None:
        return ("nil", "")
    if isinstance(form, bool):
        return ("bool", "true" if form else "false")
    if isinstance(form, Word):
        return ("word", form.text)
    if isinstance(form, str):
        return ("string", form)
    if isinstance(form, EdnSet):
        return ("set", frozenset(map(tree, form)))
    if isinstance(form, list):
        return ("list", tuple(map(tree, form)))
    if isinstance(form, dict):
        # a key that is not a string is a word of its EDN text
        return ("map", frozenset((key_text(k), tree(v)) for k, v in form.items()))
    return ("int" if isinstance(form, int) else "float", repr(form))


def key_text(key: str) -> str:
    return key.text if isinstance(key, Word) else escaped(key)


def comparable(value: Any) -> Any:
    """A tree with its keys as text in one layout, as `tree` has them."""
    kind, held = value
    if kind == "list":
        return (kind, tuple(map(comparable, held)))
    if kind == "set":
        return (kind, frozenset(map(comparable, held)))
    if kind == "map":
        return (kind, frozenset((one_text(k), comparable(v)) for k, v in held))
    return value


def one_text(key: Any) -> str:
    """A key in the layout in which it is written, so that two spellings are one key."""
    [form] = Parser(f"{{{printed(key, lambda: ' ')} 1}}").forms()
    return key_text(next(iter(form)))


def read(content: bytes, name: str = "h.edn", fmt: Format | None = None) -> History:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return read_any(path, fmt)


def flat_keys(value: Any) -> bool:
    """Whether keys of maps are leaves, since the text of a collection has many layouts; and differ
    as text, as the elements of sets do, since what has both `a` and `:a` is refused."""
    kind, held = value
    if kind == "set":
        words = [each[1].lstrip(":\\") for each in held if each[0] == "word"]
        if len(words) != len(set(words)):
            return False
    if kind == "map":
        words = [k[1].lstrip(":\\") for k, _ in held if k[0] == "word"]
        if len(words) != len(set(words)):
            return False
        return all(k[0] not in ("list", "set", "map") and flat_keys(v) for k, v in held)
    return all(map(flat_keys, held)) if kind in ("list", "set") else True


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(VALUES.filter(flat_keys), min_size=1, max_size=4),
    st.lists(BLANKS, min_size=1, max_size=20),
    st.lists(st.sampled_from(["", "[", "(", "]"]), min_size=4, max_size=4),
    st.sampled_from(["", "#jepsen.history.Op", "#op "]),
)
def test_any_value_in_any_layout(
    values: list[Any], blanks: list[str], brackets: list[str], tag: str
) -> None:
    blank = cycle(blanks).__next__
    text, closing = "", [""]
    for process, value in enumerate(values):
        bracket = brackets[process]
        if bracket == "]":
            text += closing.pop() if len(closing) > 1 else ""
        elif bracket:
            closing.append({"[": "]", "(": ")"}[bracket])
            text += bracket + blank()
        text += f"{tag}{{:type :invoke{blank()}:f :add,:process {process}{blank()}"
        text += f":value{blank()}{printed(value, blank)}{blank()}}}{blank()}"
    history = read((text + "".join(reversed(closing))).encode())
    held = [history.value_of(row) for row in range(len(history))]
    shown = [next(Parser(history.spelled(value)).forms()) for value in held]
    assert [tree(form) for form in shown] == [comparable(value) for value in values]
    names = [msgspec.json.encode(value, order="sorted") for value in held]
    for i, name in enumerate(names):
        for j, other in enumerate(names):
            assert (name == other) == (comparable(values[i]) == comparable(values[j]))


EVENTS = [
    '{:type :invoke, :f :add, :value [1 "a" {:id #{2}}], :process 0}',
    '{:type :ok, :f :add, :value [1 "a" {:id #{2}}], :process 0}',
    "{:type :invoke, :f :read, :value nil, :process 1}",
    "{:type :ok, :f :read, :value [[1]], :process 1}",
]
LAYOUTS = {
    "lines": ("", "\n", ""),
    "vector": ("[", "\n ", "]"),
    "list on one line": ("(", " ", ")"),
    "vector of vectors": ("[[", ", ", "]]"),
    "records": ("#jepsen.history.Op", "\n#jepsen.history.Op", ""),
    "commas": ("[", ",\n", "]"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_text_cut_off_inside_a_form_is_refused(layout: str) -> None:
    before, between, after = LAYOUTS[layout]
    whole = before + between.join(EVENTS) + after
    assert len(read(whole.encode())) == 4
    # where nothing is open, what came before is a history of its own
    ends = set()
    if not after:
        at = len(before) - len("#jepsen.history.Op") * (layout == "records")
        for event in EVENTS:
            at = whole.index(event) + len(event)
            ends |= {at, at + 1}
    for cut in range(len(whole)):
        if cut in ends:
            continue
        with pytest.raises(HistoryError):
            read(whole[:cut].encode())


@pytest.mark.parametrize("name", ["h.json", "h.jsonl", "h"])
def test_json_cut_off_is_refused(name: str) -> None:
    events = [
        '{"index":0,"time":1,"type":"invoke","process":0,"f":"add","value":[1,"a"]}',
        '{"index":1,"time":2,"type":"ok","process":0,"f":"add","value":[1,"a"]}',
    ]
    lines = name == "h.jsonl"
    whole = "\n".join(events) + "\n" if lines else "[" + ",\n".join(events) + "]"
    assert len(read(whole.encode(), name)) == 2
    for cut in range(len(whole)):
        if lines and cut == len(events[0]) + 1:
            continue
        with pytest.raises(HistoryError):
            read(whole[:cut].encode(), name)


def test_gzip_cut_off_is_refused() -> None:
    whole = gzip.compress("\n".join(EVENTS).encode())
    assert len(read(whole)) == 4
    for cut in range(len(whole)):
        with pytest.raises(HistoryError):
            read(whole[:cut])


@pytest.mark.parametrize("size", [100, 60_000])
def test_events_across_the_bounds_of_what_is_read_at_a_time(size: int) -> None:
    """More than one block of bytes, in lines, and with a form over lines amid them."""
    lines = []
    for i in range(size // 2):
        lines += [f"{{:type :invoke, :f :add, :value {i}, :process 0}}",
                  f"{{:type :ok, :f :add, :value {i}, :process 0}}"]  # fmt: skip
    lines[size // 2] = lines[size // 2].replace(", :f", "\n  :f ; here\n")
    text = "[" + "\n ".join(lines) + "]"
    history = read(text.encode())
    assert [history.value_of(row) for row in range(size)] == [i // 2 for i in range(size)]
    with pytest.raises(HistoryError) as raised:
        read(text[:-1].encode())
    assert raised.value.line == size + 2
    with pytest.raises(HistoryError) as raised:
        read((text + "\n]").encode())
    assert raised.value.line == size + 3


def test_one_event_larger_than_a_block() -> None:
    elements = " ".join(map(str, range(200_000)))
    text = f"{{:type :invoke, :f :read}}\n{{:type :ok, :f :read,\n :value #{{{elements}}}}}\n"
    assert read(text.encode()).value_of(1) == list(range(200_000))


#: forms that differ and look alike once one of them is held as it is spelled
ALIKE = (":a", '"a"', r'"\"a\""', "a", r"\a", '":a"')


@pytest.mark.parametrize("shape", ["{}", "{{{} 1}}", "[{}]"])
def test_what_looks_alike_stays_apart_in_any_order(shape: str) -> None:
    """The string `a` is held as `"a"` beside the keyword, and so was the string `"a"` before it."""
    for some in permutations(ALIKE, 3):
        values = [shape.format(each) for each in some]
        events = (
            f"{{:type :invoke :f :add :process {n} :value {v}}}" for n, v in enumerate(values)
        )
        history = read("\n".join(events).encode())
        held = [history.value_of(row) for row in range(len(history))]
        assert [history.spelled(value) for value in held] == values
        assert len({msgspec.json.encode(value) for value in held}) == len(set(values))
