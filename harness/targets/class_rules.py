"""What is wrong with the class of a target, seen before anything is started.

A name that is misspelled is otherwise left out without a word, and a string where a tuple belongs
is taken for its letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from inspect import getattr_static, iscoroutinefunction
from typing import Any

from dynamesis.harness.targets.target import HOOKS, FaultLimits, Target, TargetOption

_NAMES = ("workloads", "ports", "peer_ports", "client_ports", "programs")
_TEXTS = ("name", "description", "install", "label")
_SECONDS = ("boot_limit", "stop_limit", "op_limit", "quiet_after")
_SWITCHES = ("wipes", "takes_bin", "takes_version", "takes_shim")
_LINKS = ("pairs", "nodes", None)
#: names that become words of command lines, links and files
_NAME = re.compile(r"[A-Za-z0-9_-]+")
#: … of nodes, in faults listed by comma and links written a-b
_NODE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*")
#: … of the target, which may be without one
_FOLDER_NAME = re.compile(r"(?!\.)[^/\\\x00-\x1f]*")
_NODE_RULE = "a name has letters, digits, _ and . only, and does not begin with a dot"
#: how alike two names are of which one is taken for a slip of the other
_ALIKE = 0.85


def mistakes(target: Target) -> list[str]:
    """Each as a sentence that names the attribute, what it is, and what would be right."""
    return [*_values(target), *_ports(target), *_methods(target), *_slips(target)]


def _values(target: Target) -> Iterator[str]:
    for name in _NAMES:
        value = getattr(target, name)
        if not _is_names(value) and not (name == "peer_ports" and value is None):
            yield f'{name} = {value!r} must be a tuple of strings, such as ("register",)'
    for name in _TEXTS:
        if not isinstance(value := getattr(target, name), str):
            yield f"{name} = {value!r} must be a string"
    if isinstance(target.name, str) and not _FOLDER_NAME.fullmatch(target.name):
        yield f"name = {target.name!r}: folders are named by it; no / and no dot at its beginning"
    for name in _SECONDS:
        value = getattr(target, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            yield f"{name} = {value!r} must be a number of seconds"
    for name in _SWITCHES:
        if not isinstance(value := getattr(target, name), bool):
            yield f"{name} = {value!r} must be True or False"
    if isinstance(target.nodes, bool) or not isinstance(target.nodes, int) or target.nodes < 1:
        yield f"nodes = {target.nodes!r} must be an integer from 1"
    if target.links not in _LINKS:
        yield f'links = {target.links!r} must be "pairs", "nodes" or None'
    # a property is of what the target is configured with later
    limits = getattr_static(target, "limits")
    if not isinstance(limits, FaultLimits | property):
        yield f"limits = {target.limits!r} must be FaultLimits(...)"
    if not isinstance(target.options, Mapping) or not all(
        isinstance(option, TargetOption) for option in target.options.values()
    ):
        yield f"options = {target.options!r} must be a dict of name to TargetOption(...)"


def _is_names(value: object) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(each, str) for each in value)


def _ports(target: Target) -> Iterator[str]:
    if not _is_names(target.ports):
        return
    if wrong := [port for port in target.ports if not _NAME.fullmatch(port)]:
        yield f"ports has {wrong[0]!r}; a name has letters, digits, _ and - only"
    if twice := _twice(target.ports):
        yield f"ports has {twice!r} twice"
    if _is_names(target.client_ports) and not target.client_ports:
        yield "client_ports is empty: clients need a port to dial"
    if target.links is not None and target.peer_ports is not None and not target.between:
        yield f'peer_ports is empty, and links = "{target.links}" needs a port that nodes dial'
    for name in ("client_ports", "peer_ports"):
        named: Any = getattr(target, name)
        for port in named if _is_names(named) else ():
            if port not in target.ports:
                yield f"{name} has {port!r}, which is not in ports = {tuple(target.ports)!r}"


def wrong_names(target: Target, names: object, count: int) -> str | None:
    """What is wrong with what the target calls its nodes; None: nothing."""
    if not _is_names(names):
        return f"names({count}) returned {names!r}; it must return a tuple of strings"
    assert isinstance(names, tuple | list), "as _is_names found"
    if len(names) != count:
        return f"names({count}) returned {len(names)} names: {', '.join(names) or 'none'}"
    if wrong := [name for name in names if not _NODE_NAME.fullmatch(name)]:
        return f"names({count}) has {wrong[0]!r}; {_NODE_RULE}"
    if twice := _twice(names):
        return f"names({count}) has {twice!r} twice"
    return None


def _twice(names: Sequence[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _methods(target: Target) -> Iterator[str]:
    kind = type(target)
    for name in ("command", "client"):
        if getattr(kind, name) is getattr(Target, name) and kind.build is Target.build:
            yield f"the method {name} is missing"
    for name in ("ready", "prepare", *HOOKS):
        method = getattr(kind, name, None)
        if callable(method) and not iscoroutinefunction(method):
            yield f"{name} must be async: `async def {name}(...)`"
    for name in ("command", "client"):
        if iscoroutinefunction(getattr(kind, name)):
            yield f"{name} must not be async: `def {name}(...)`"


def _slips(target: Target) -> Iterator[str]:
    """Names that the harness does not know, where one that it knows is hardly different, would
    take such a value, and is not set itself."""
    kind = type(target)
    own = {name for each in kind.__mro__ if not issubclass(Target, each) for name in vars(each)}
    known = {name for name in dir(Target) if not name.startswith("_")} | set(HOOKS)
    for name in sorted(own - known):
        near = get_close_matches(name, known - own, n=1, cutoff=_ALIKE)
        if near and not name.startswith("_") and _alike(getattr(kind, name), near[0]):
            yield f"{name} is not known (did you mean {near[0]}?)"


def _alike(value: object, name: str) -> bool:
    """Whether a value may be meant for the attribute of this name."""
    if name in (*_NAMES, "options"):
        return isinstance(value, tuple | list | str | Mapping)
    usual = getattr(Target, name, None)
    if name in HOOKS or callable(usual):
        return callable(value)
    return usual is None or type(value) is type(usual) or name in _SECONDS
