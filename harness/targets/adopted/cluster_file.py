"""The file that describes a cluster which is there already.

    store: redis                      # whose clients speak to it: a target's name, or FILE.py:NAME
    nodes:
      n1:
        client: 10.0.0.1:6379         # where it serves clients
        peer: 10.0.0.1:7000           # where it listens for its peers; as client by default
        dials: {n2: 127.0.0.1:17012}  # where it dials each peer: proxies come there
        kill: ssh db1 pkill -9 redis  # commands of this node alone
      n2: ...
    commands:                         # of all nodes; {node}, {client}, {peer}, {host} (of client)
      start: ssh {host} systemctl start redis
      kill: ssh {host} systemctl kill -s KILL redis
    limit: 30                         # s that a command may take

Instead of `dials`, `advertised` is the one address by which all peers reach a node. Both are
addresses of this machine, on which nothing listens yet. A key that is not known, or an address
that makes no sense, is an error with its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml

#: what an owner may give a command for
ACTIONS = ("start", "stop", "kill", "pause", "resume", "state")
_TOP = ("store", "nodes", "commands", "limit", "options")
_NODE = ("client", "peer", "dials", "advertised", *ACTIONS)
_PLACE = re.compile(r"(?<!\$)\{(node|client|peer|host)\}")
_BRACES = re.compile(r"(?<!\$)\{(\w+)\}")
_LIMIT = 30.0


class _Wrong(Exception):
    """What is wrong, beginning with its place."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice: YAML would take the last, and drop a node."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise _Wrong(f"{key.value} is there twice (line {key.start_mark.line + 1})")
            seen |= {key.value} if isinstance(key, yaml.ScalarNode) else set()
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class AdoptedNode:
    """One node.

    client, peer: host:port where it serves clients, and its peers
    dials: peer -> host:port on this machine at which it was configured to reach it
    advertised: host:port on this machine at which all its peers were configured to reach it
    commands: action -> shell command, with every {word} replaced
    """

    name: str
    client: str
    peer: str
    dials: Mapping[str, str] = field(default_factory=dict)
    advertised: str | None = None
    commands: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AdoptedCluster:
    """All of them. `options`: those of the target whose clients speak to it; `limit`: s."""

    store: str
    nodes: Mapping[str, AdoptedNode]
    limit: float = _LIMIT
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def links(self) -> Literal["pairs", "nodes"] | None:
        """How its nodes come by proxies: one for each ordered pair, one for each node, or none."""
        everyone = self.nodes.values()
        if all(len(node.dials) == len(self.nodes) - 1 > 0 for node in everyone):
            return "pairs"
        return "nodes" if all(node.advertised for node in everyone) else None

    def can(self, action: str) -> bool:
        """Whether every node has a command for it."""
        return all(action in node.commands for node in self.nodes.values())

    def proxies(self) -> list[tuple[str | None, str, str, str]]:
        """Where its nodes dial each other: (node that dials, or None for all peers; node that is
        reached; host:port of this machine that is dialled; where that node listens)."""
        nodes = self.nodes.values()
        if self.links == "pairs":
            return [
                (node.name, peer, listen, self.nodes[peer].peer)
                for node in nodes
                for peer, listen in node.dials.items()
            ]
        if self.links == "nodes":
            return [(None, n.name, n.advertised, n.peer) for n in nodes if n.advertised]
        return []


def read_cluster(file: Path) -> AdoptedCluster:
    """The cluster in this file. Raises ValueError: what is wrong, where, and what is right."""
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), _Loader)  # a safe one
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{file} cannot be read: {reason}") from error
    except _Wrong as wrong:
        raise ValueError(f"{file}: {wrong}") from wrong
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    try:
        return _cluster(content)
    except _Wrong as wrong:
        raise ValueError(f"{file}: {wrong}") from wrong


def _cluster(content: Any) -> AdoptedCluster:
    top = _mapping(content, "the file", _TOP)
    common = _mapping(top.get("commands") or {}, "commands", ACTIONS)
    entries = _mapping(top.get("nodes"), "nodes", None)
    if not entries:
        raise _Wrong("nodes: at least one is needed, as n1: {client: 10.0.0.1:6379}")
    limit = top.get("limit", _LIMIT)
    if isinstance(limit, bool) or not isinstance(limit, int | float) or limit <= 0:
        raise _Wrong(f"limit is {limit!r}, not a number of seconds")
    store = top.get("store")
    if not isinstance(store, str) or not store:
        raise _Wrong("store: the target whose clients speak to it is needed, as store: redis")
    options = _mapping(top.get("options") or {}, "options", None)
    nodes = {name: _node(name, entry, common) for name, entry in entries.items()}
    _no_strangers(nodes)
    _all_or_none(nodes)
    _no_address_twice(nodes)
    return AdoptedCluster(store, nodes, float(limit), {k: str(v) for k, v in options.items()})


def _node(name: str, entry: Any, common: Mapping[str, Any]) -> AdoptedNode:
    where = f"nodes.{name}"
    if not re.fullmatch(r"[A-Za-z0-9_.]+", name):
        raise _Wrong(f"{where}: a name has letters, digits, _ and . only")
    own = _mapping(entry, where, _NODE)
    client = _address(own.get("client"), f"{where}.client")
    peer = _address(own["peer"], f"{where}.peer") if "peer" in own else client
    dials = _mapping(own.get("dials") or {}, f"{where}.dials", None)
    words = {"node": name, "client": client, "peer": peer, "host": client.rpartition(":")[0]}
    commands = dict(common) | {action: own[action] for action in ACTIONS if action in own}
    for action, command in commands.items():
        if not isinstance(command, str) or not command.strip():
            raise _Wrong(f"{where}: {action} is {command!r}, not a shell command")
        _no_slip(where, action, command)
    return AdoptedNode(
        name,
        client,
        peer,
        {p: _address(a, f"{where}.dials.{p}") for p, a in dials.items()},
        _address(own["advertised"], f"{where}.advertised") if "advertised" in own else None,
        {a: _PLACE.sub(lambda found: words[found[1]], c) for a, c in commands.items()},
    )


def _mapping(value: Any, where: str, allowed: tuple[str, ...] | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong(f"{where} is {value!r}, not a mapping")
    unknown = [key for key in value if allowed is not None and key not in allowed]
    if unknown:
        raise _Wrong(f"{where} has no {unknown[0]!r}; it has: {', '.join(allowed or ())}")
    return {str(key): each for key, each in value.items()}


def _address(value: Any, where: str) -> str:
    host, _, port = str(value).rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise _Wrong(f"{where} is {value!r}, not HOST:PORT")
    return f"{host}:{int(port)}"


def _no_strangers(nodes: Mapping[str, AdoptedNode]) -> None:
    for node in nodes.values():
        for peer in node.dials:
            if peer not in nodes or peer == node.name:
                others = ", ".join(sorted(set(nodes) - {node.name})) or "no other node"
                raise _Wrong(f"nodes.{node.name}.dials: {peer!r} is not one of: {others}")


def _all_or_none(nodes: Mapping[str, AdoptedNode]) -> None:
    """Cuts need an address for each pair, isolations one for each node: where some lack it, there
    would be none, without a word."""
    dialling = [name for name, node in nodes.items() if node.dials]
    for node in nodes.values() if dialling else ():
        if lacking := sorted(set(nodes) - {node.name} - set(node.dials)):
            raise _Wrong(
                f"nodes.{node.name}.dials has no {lacking[0]}; where one node has dials, each "
                "needs an address for every peer"
            )
    advertised = [name for name, node in nodes.items() if node.advertised]
    if dialling and advertised:
        raise _Wrong(f"nodes.{advertised[0]}: dials and advertised exclude each other")
    if advertised and len(advertised) < len(nodes):
        bare = next(name for name in nodes if name not in advertised)
        raise _Wrong(f"nodes.{bare} has no advertised; where one node has it, each needs it")


def _no_slip(where: str, action: str, command: str) -> None:
    """Other words in braces are the shell's, but those that are hardly different."""
    for word in _BRACES.findall(command):
        near = get_close_matches(word, ("node", "client", "peer", "host"), 1, cutoff=0.7)
        if near and word != near[0]:
            raise _Wrong(f"{where}: {action} has {{{word}}} (did you mean {{{near[0]}}}?)")


def _no_address_twice(nodes: Mapping[str, AdoptedNode]) -> None:
    """Each proxy needs an address of its own."""
    taken: dict[str, str] = {}
    for node in nodes.values():
        places = {f"nodes.{node.name}.client": node.client, f"nodes.{node.name}.peer": node.peer}
        places |= {f"nodes.{node.name}.dials.{p}": a for p, a in node.dials.items()}
        if node.advertised:
            places[f"nodes.{node.name}.advertised"] = node.advertised
        for where, address in places.items():
            if address in taken and not (where.endswith(".peer") and address == node.client):
                raise _Wrong(f"{where} is {address}, as is {taken[address]}")
            taken.setdefault(address, where)
