"""The configuration files of a node: redis.conf, and sentinel.conf.

Both are written once: Redis and Sentinel keep in them what they become. All addresses in them are
those of proxies. The Sentinels know each other and all replicas from the start, so that boot waits
for no discovery.
"""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path

from dynamesis.harness.targets.redis.client import MASTER, SENTINEL
from dynamesis.harness.targets.site import CLIENT_PORT, NodeSite, Site

#: Sentinels that must agree that a primary is gone, and ms for which it must not answer
QUORUM, DOWN_AFTER_MS = 2, 1000
#: ms after which a fail-over is begun again
_FAILOVER_MS = 5000
#: What a node keeps is the append-only file, or nothing.
_NO_SNAPSHOTS = 'save ""'


def write_redis(node: NodeSite, site: Site, appendfsync: str, alone: bool) -> Path:
    """The path of redis.conf, which is written if it is not there."""
    path = node.data / "redis.conf"
    lines = [
        f"port {node.ports[CLIENT_PORT]}",
        f"bind {node.host}",
        f"dir {node.data}",
        "protected-mode no",
        _NO_SNAPSHOTS,
        *(["appendonly no"] if appendfsync == "off" else _appends(appendfsync)),
    ]
    if not alone:
        lines += _replicated(node, site)
    _write_once(path, lines)
    return path


def _appends(appendfsync: str) -> list[str]:
    return ["appendonly yes", f"appendfsync {appendfsync}"]


def _replicated(node: NodeSite, site: Site) -> list[str]:
    host, port = site.advertised(node.name, CLIENT_PORT)
    lines = [
        f"replica-announce-ip {host}",
        f"replica-announce-port {port}",
        "repl-diskless-sync-delay 0",
        "repl-ping-replica-period 1",
        "repl-timeout 5",
    ]
    first = site.nodes[0]
    if node.name != first:
        lines.append(f"replicaof {_words(site.advertised(first, CLIENT_PORT))}")
    return lines


def write_sentinel(node: NodeSite, site: Site) -> Path:
    """The path of sentinel.conf, which is written if it is not there."""
    path = node.data / "sentinel.conf"
    host, port = site.advertised(node.name, SENTINEL)
    first, *replicas = site.nodes
    primary = _words(site.advertised(first, CLIENT_PORT))
    lines = [
        f"port {node.ports[SENTINEL]}",
        f"bind {node.host}",
        f"dir {node.data}",
        "protected-mode no",
        f"sentinel myid {_identity(node.name)}",
        f"sentinel announce-ip {host}",
        f"sentinel announce-port {port}",
        f"sentinel monitor {MASTER} {primary} {QUORUM}",
        f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}",
        f"sentinel failover-timeout {MASTER} {_FAILOVER_MS}",
        f"sentinel parallel-syncs {MASTER} {len(replicas)}",
    ]
    for replica in replicas:
        where = _words(site.advertised(replica, CLIENT_PORT))
        lines.append(f"sentinel known-replica {MASTER} {where}")
    for other in site.nodes:
        if other != node.name:
            where = _words(site.advertised(other, SENTINEL))
            lines.append(f"sentinel known-sentinel {MASTER} {where} {_identity(other)}")
    _write_once(path, lines)
    return path


def _words(address: tuple[str, int]) -> str:
    """An address as configurations have it: host and port."""
    host, port = address
    return f"{host} {port}"


def _identity(node: str) -> str:
    """By which a Sentinel is known: 40 hexadecimal digits."""
    return sha1(f"sentinel of {node}".encode(), usedforsecurity=False).hexdigest()


def _write_once(path: Path, lines: list[str]) -> None:
    if not path.exists():
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
