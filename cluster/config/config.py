"""The configuration file of a node: its name, where it listens, which nodes it dials.

YAML or JSON, by content. Whatever is wrong in it is one `ConfigError` that names the
file, the key, the value and what is allowed. Paths in it are relative to it.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import secrets
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from dynamesis.cluster.config.tls import Tls
from dynamesis.cluster.core.protocol.names import MOST_KEY, name_objection
from dynamesis.cluster.core.protocol.params import MOST_SIBLING_BYTES, MOST_VALUE, Params
from dynamesis.cluster.core.ring.claim import owning
from dynamesis.cluster.storage import ENGINES


class ConfigError(Exception):
    """The message is for the author of the file."""


class Storage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`map_size`: bytes of address space the durable engine begins with (it doubles);
    `faults`: the disk can be made to fail (cluster.storage.faulty)."""

    engine: str = "lmdb"
    map_size: int = 1 << 30
    faults: bool = False


#: bytes of a configuration file
_MOST_BYTES = 16 << 20
#: seconds: above it nothing is waited for, and clocks of loops overflow
_MOST_SECONDS = 1e9
_LEAST_INTERVAL = 1e-3
_MOST_COUNT = 1 << 53
#: the greatest values of parameters that something sets: the layout travels whole, with an owner
#: for each partition; a row holds a key; a client's frame a value, its key and its context
_MOST = {"partitions": 1 << 13, "max_key": MOST_KEY, "max_value": MOST_VALUE}
#: what earlier versions took where no secret was given: it is in their source, so it is none
_PUBLIC_SECRET = "dynamesis"
_DRAW = 'python -c "import secrets; print(secrets.token_hex(16))"'


def draw_secret() -> str:
    """A secret for a new cluster, which no other one has."""
    return secrets.token_hex(16)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node's configuration. Addresses are "host:port"; `peers` are as this node dials
    them, which may be a proxy's. A founder has all founders as `members`; a node that
    is to join a cluster later has `seeds` instead, some of whose members it knows.
    `params` are those of cluster.core.protocol.params but for the names of nodes.
    `hello_timeout` in seconds. `clock_faults`: the wall clock can be made wrong
    (cluster.process.wallclock).
    `secret`: drawn for this cluster, the same on its nodes, and on no other cluster's; a disk is
    held to it. `former_secret`: the one before it, for a disk that was written under that.
    `log_size`: bytes of log after which a new file is begun, 0: never; `log_files` are kept.
    `clients_prove`: clients, as nodes and administrators always, must know the
    secret. `metrics`: where Prometheus may scrape. `expose`: listen on other addresses than
    loopback."""

    node: str
    listen: str
    admin: str
    members: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    peers: dict[str, str] = {}
    cluster: str = "dynamesis"
    secret: str = ""
    former_secret: str | msgspec.UnsetType = msgspec.UNSET  # not in the files of earlier versions
    params: dict[str, Any] = {}
    storage: Storage = Storage()
    clock_faults: bool = False
    data: Path = Path("data")
    log: Path = Path("node.log")
    log_size: int = 256 << 20
    log_files: int = 4
    bugs: tuple[str, ...] = ()
    parent: Literal["stdin"] | None = None
    hello_timeout: float = 1.0
    tls: Tls | None = None
    clients_prove: bool = False
    metrics: str | None = None
    expose: bool = False

    def core_params(self) -> Params:
        """The parameters of the sans-I/O core. Raises ConfigError."""
        identity = {name: getattr(self, name) for name in _IDENTITY}
        try:
            return msgspec.convert(identity | self.params, Params)
        except msgspec.ValidationError as error:
            raise ConfigError("params" + _located(error)) from error


_IDENTITY = ("node", "members", "seeds", "cluster", "secret")
_PARAMS = tuple(f.name for f in dataclasses.fields(Params) if f.name not in _IDENTITY)


def load(path: Path) -> Config:
    """Read and check `path`. Raises ConfigError."""
    try:
        raw = _parse(_text(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        config = msgspec.convert(raw, Config, dec_hook=_path)
        _check(config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_located(error).removeprefix('.').lstrip(': ')}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return msgspec.structs.replace(
        config,
        data=path.parent / config.data,
        log=path.parent / config.log,
        tls=config.tls and Tls(*(path.parent / f for f in msgspec.structs.astuple(config.tls))),
    )


def dump(config: Config) -> bytes:
    """The file that `load` makes `config` of, as JSON."""
    return msgspec.json.format(msgspec.json.encode(config, enc_hook=str), indent=2) + b"\n"


def write_private(path: Path, content: bytes) -> None:
    """Write a file that has a secret in it: only its owner may read it, from the first byte on.
    Raises OSError."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
    part.replace(path)


def check_params(members: Sequence[str], params: Mapping[str, Any]) -> None:
    """Raises ConfigError for `params` that no node of these members would start with."""
    here = "127.0.0.1:1"
    peers = dict.fromkeys(members, here)
    values: dict[str, Any] = {"peers": peers, "params": dict(params), "secret": draw_secret()}
    _check(Config(members[0], here, "127.0.0.1:2", tuple(members), **values))


def split_address(address: str) -> tuple[str, int]:
    """ "host:port" or "[v6 host]:port" -> (host, port). Raises ConfigError."""
    host, _, digits = address.rpartition(":")
    host = host.strip("[]")
    port = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 5 else 0
    if not 0 < port < 65536 or not _is_host(host):
        raise ConfigError(
            f'{address!r:.300} is not an address; allowed: "host:port", port 1 to 65535'
        )
    return host, port


def _is_host(host: str) -> bool:
    """Whether this can be looked up. What cannot be written as the name of a host is an exception
    of its own there, and none of a network that fails."""
    if not host or not host.isprintable() or " " in host:
        return False
    if host.isascii():  # as below; that would cost the start of every process 10 ms
        *labels, last = host.split(".")
        return all(0 < len(label) < 64 for label in labels) and len(last) < 64
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def _text(path: Path) -> str:
    """What is in the file, or comes through a pipe that has a writer. Raises OSError, ValueError;
    ConfigError."""
    with open(path, "rb", opener=_without_waiting) as file:
        os.set_blocking(file.fileno(), True)
        content = file.read(_MOST_BYTES + 1)
        if not content and stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            raise ConfigError("a pipe without a writer; allowed: a file in YAML or JSON")
    if len(content) > _MOST_BYTES:
        raise ConfigError(f"it is longer than {_MOST_BYTES >> 20} MiB; allowed: YAML or JSON")
    return content.decode()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _parse(text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            raw = msgspec.json.decode(text)
            json.loads(text, object_pairs_hook=once)  # the other decoder lets the last one win
            return raw
        except msgspec.DecodeError as error:
            raise ConfigError(f"malformed JSON: {error}") from error
        except RecursionError:
            raise ConfigError("malformed JSON: nested too deep") from None
    import yaml  # slow to import, so only where it is used

    class Strict(yaml.SafeLoader):
        """Takes each key of a mapping once; what `<<` brings may be overridden. Text has UTF-8."""

        def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
            value = super().construct_scalar(node)
            value.encode()  # a lone surrogate ends as an error here, and not in what takes it
            return value

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> Any:
        own = (key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge")
        once([(loader.construct_object(key, deep=True), None) for key in own])
        yield (made := {})
        made.update(loader.construct_mapping(node))

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        return yaml.load(text, Strict)
    except (yaml.YAMLError, ValueError, TypeError) as error:  # of dates, numbers, keys
        raise ConfigError(f"malformed YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise ConfigError("malformed YAML: nested too deep") from None


def once(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """The mapping of these pairs. Raises ConfigError for a key that comes twice: which of the
    two was meant cannot be known."""
    seen: set[Any] = set()
    for key, _ in pairs:
        if key in seen:
            raise ConfigError(f"{key}: the key comes twice; allowed: once")
        seen.add(key)
    return dict(pairs)


def _path(kind: type, value: Any) -> Path:
    """The one type here that msgspec does not know."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise TypeError(f"Expected a path, got {value!r}")
    return Path(value)


def _located(error: msgspec.ValidationError) -> str:
    """msgspec's "what - at `$.where`" as ".where: what", with the keys that are allowed."""
    what, _, where = str(error).partition(" - at `$")
    where = where.rstrip("`").replace("[...]", "")
    if "unknown field" in what:
        allowed = {".storage": Storage, ".tls": Tls}.get(where, Config)
        what += "; allowed: " + ", ".join(allowed.__struct_fields__)
    return f"{where or '.'}: {what}"


def _check(config: Config) -> None:
    """Check what types cannot express. Raises ConfigError."""
    ports: dict[tuple[str, int], str] = {}
    for key in ("listen", "admin", *(("metrics",) if config.metrics else ())):
        _address(key, address := getattr(config, key))
        _reachable(key, config)
        other = ports.setdefault(split_address(address), key)
        if other != key:
            raise ConfigError(f"{key}: {address} is that of {other}; allowed: one of its own")
    named = {"node": (config.node,), "members": config.members, "seeds": config.seeds}
    for key, names in (named | {"peers": config.peers, "cluster": (config.cluster,)}).items():
        for name in names:
            _named(key, name)
    if config.members:
        _one_of("node", config.node, config.members, "one of members")
    elif not {*config.seeds} - {config.node}:
        raise ConfigError("members: none; allowed: all founders, or `seeds` for a node that joins")
    if len(set(config.members)) != len(config.members):
        raise ConfigError(f"members: {list(config.members)} names a node twice")
    for peer, address in config.peers.items():
        _address(f"peers.{peer}", address)
    for peer in (*config.members, *config.seeds):
        if peer not in config.peers and peer != config.node:
            raise ConfigError(f'peers: no address for {peer!r}; allowed: "host:port"')
    _one_of("storage.engine", config.storage.engine, ENGINES, "engines")
    _within("storage.map_size", config.storage.map_size, 1 << 20, 1 << 46)
    _positive("hello_timeout", config.hello_timeout, _MOST_SECONDS)
    _within("log_size", config.log_size, 0, _MOST_COUNT)
    _within("log_files", config.log_files, 1, 1000)
    for key in config.params:
        _one_of("params", key, _PARAMS, "keys")
    _check_params(config.core_params())
    _secret(config.secret)


def _check_params(params: Params) -> None:
    for key in _PARAMS:
        value = getattr(params, key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        most = _MOST.get(key, _MOST_COUNT if isinstance(value, int) else _MOST_SECONDS)
        if key in ("durable_replicas", "reap_after", "anti_entropy_interval"):
            _within(f"params.{key}", value, 0, most)
        else:
            _positive(f"params.{key}", value, most)
        if key.endswith("_interval") and value:
            _within(f"params.{key}", value, _LEAST_INTERVAL, most)
    if params.members and params.n > len(params.members):
        raise ConfigError(
            f"params.n: {params.n} replicas do not fit; allowed: 1 to {len(params.members)}, "
            "the number of members"
        )
    if params.max_sibling_bytes * params.n > MOST_SIBLING_BYTES:
        raise ConfigError(
            f"params.max_sibling_bytes: {params.max_sibling_bytes}; allowed: at most "
            f"{MOST_SIBLING_BYTES // params.n}, so that the siblings of n replicas fit in a frame"
        )
    for key in ("r", "w"):
        if (value := getattr(params, key)) > params.n:
            raise ConfigError(f"params.{key}: {value}; allowed: 1 to n, which is {params.n}")
    try:
        owners = owning(
            params.members or [params.node], params.partitions, params.n, params.weights
        )
    except ValueError as error:
        raise ConfigError(f"params.weights: {error}") from error
    if params.members and owners < params.n:
        raise ConfigError(
            f"params.partitions: {params.partitions}, of which {owners} nodes own any; allowed: so "
            f"many that n, {params.n}, do"
        )
    if params.clock == "vector" and params.lww_buckets:
        raise ConfigError('params.lww_buckets: they need clock "dvv"')
    replicas = params.zone_replicas
    for zone in replicas:
        _one_of("params.zone_replicas", zone, sorted(set(params.zones.values())), "zones")
        _within(f"params.zone_replicas.{zone}", replicas[zone], 0, params.n)
    if replicas and sum(replicas.values()) != params.n:
        raise ConfigError(
            f"params.zone_replicas: {sum(replicas.values())} in all; allowed: n, {params.n}"
        )


def _address(key: str, address: str) -> None:
    try:
        split_address(address)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error


def _reachable(key: str, config: Config) -> None:
    """Refuse addresses that other machines reach by accident."""
    host, _ = split_address(getattr(config, key))
    if not config.expose and not _is_loopback(host):
        raise ConfigError(f"{key}: {host} is not loopback; allowed: with `expose: true`")


def _is_loopback(host: str) -> bool:
    """Whether no other machine reaches `host`; what a name is resolved to, others decide."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _named(key: str, name: str) -> None:
    if wrong := name_objection(name):
        raise ConfigError(f"{key}: {wrong}; allowed: text of 1 to 255 bytes that can be printed")


def _secret(secret: str) -> None:
    if not secret or secret == _PUBLIC_SECRET:
        what = f"{secret!r} is public" if secret else "none"
        raise ConfigError(
            f"secret: {what}; allowed: one of this cluster's own, the same on all its nodes. "
            f"Draw one with: {_DRAW}"
        )


def _one_of(key: str, value: str, allowed: Iterable[str], kind: str) -> None:
    if value not in allowed:
        raise ConfigError(f"{key}: {value!r}; allowed {kind}: {', '.join(allowed)}")


def _within(key: str, value: float, least: float, most: float) -> None:
    """Written so that NaN is refused, too."""
    if not value >= least:
        raise ConfigError(f"{key}: {value}; allowed: {least} or more")
    if not value <= most:
        raise ConfigError(f"{key}: {value}; allowed: at most {most}")


def _positive(key: str, value: float, most: float) -> None:
    if not value > 0:
        raise ConfigError(f"{key}: {value}; allowed: more than 0")
    _within(key, value, 0, most)
