from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from dynamesis.cluster.config.config import (
    Config,
    ConfigError,
    Storage,
    draw_secret,
    dump,
    load,
    once,
    split_address,
    write_private,
)
from dynamesis.cluster.config.tls import Tls, client_context, server_context
from dynamesis.cluster.core.protocol.names import MOST_KEY
from dynamesis.cluster.core.protocol.params import MOST_VALUE
from dynamesis.cluster.net.wire import CLIENT_LIMIT

GOOD: dict[str, Any] = {
    "node": "n1",
    "listen": "127.0.0.1:7101",
    "admin": "127.0.0.1:7201",
    "members": ["n1", "n2", "n3"],
    "peers": {"n2": "127.0.0.1:7102", "n3": "[::1]:7103"},
    "params": {"n": 3, "w": 1, "sloppy": False, "replica_timeout": 0.25},
    "storage": {"engine": "memory"},
    "secret": "of the tests",
    "data": "here",
    "bugs": ["b"],
    "parent": "stdin",
}


def write(folder: Path, raw: object, text: str | None = None) -> Path:
    path = folder / "n1.conf"
    path.write_text(json.dumps(raw) if text is None else text)
    return path


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in GOOD.items() if k != key}


@pytest.mark.parametrize("form", [json.dumps, yaml.safe_dump])
def test_json_and_yaml_say_the_same(tmp_path: Path, form: Any) -> None:
    config = load(write(tmp_path, None, form(GOOD)))
    assert (config.node, config.peers["n3"]) == ("n1", "[::1]:7103")
    assert config.storage == Storage("memory")
    assert config.data == tmp_path / "here"
    assert config.log == tmp_path / "node.log"
    params = config.core_params()
    assert (params.node, params.members) == ("n1", ("n1", "n2", "n3"))
    assert (params.w, params.r, params.sloppy, params.replica_timeout) == (1, 2, False, 0.25)


def test_what_is_dumped_is_loaded(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD))
    path = tmp_path / "again"
    path.write_bytes(dump(config))
    assert load(path) == config


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (without("node"), "missing required field `node`"),
        (GOOD | {"colour": 1}, "unknown field `colour`; allowed: node, listen, admin, members"),
        (GOOD | {"node": 5}, "node: Expected `str`, got `int`"),
        (GOOD | {"node": "n9"}, "node: 'n9'; allowed one of members: n1, n2, n3"),
        (GOOD | {"members": ["n1", "n1"]}, r"members: \['n1', 'n1'\] names a node twice"),
        (GOOD | {"members": "n1"}, "members: Expected `array`, got `str`"),
        (GOOD | {"listen": "7101"}, "listen: '7101' is not an address; allowed: \"host:port\""),
        (GOOD | {"listen": "h:70000"}, "listen: 'h:70000' is not an address"),
        (GOOD | {"admin": ":1"}, "admin: ':1' is not an address"),
        (GOOD | {"listen": f"h:{'9' * 5000}"}, "listen: 'h:9.*is not an address"),
        (GOOD | {"listen": "a..b:1", "expose": True}, "listen: 'a..b:1' is not an address"),
        (GOOD | {"metrics": "a b:1", "expose": True}, "metrics: 'a b:1' is not an address"),
        (GOOD | {"peers": GOOD["peers"] | {"n2": "a..b:1"}}, "peers.n2: 'a..b:1' is not an"),
        (GOOD | {"peers": GOOD["peers"] | {"n2": f"{'x' * 64}:1"}}, "peers.n2: 'x*:1' is not an"),
        (GOOD | {"peers": GOOD["peers"] | {"n2": "é..b:1"}}, "peers.n2: 'é..b:1' is not an"),
        (GOOD | {"peers": GOOD["peers"] | {"n2": "a\0:1"}}, r"peers.n2: 'a\\x00:1' is not an"),
        (GOOD | {"admin": GOOD["listen"]}, "admin: 127.* is that of listen; allowed: one of its"),
        (GOOD | {"metrics": GOOD["admin"]}, "metrics: 127.* is that of admin; allowed: one of"),
        (GOOD | {"listen": "0.0.0.0:1"}, "listen: 0.0.0.0 is not loopback; allowed: with `exp"),
        (GOOD | {"admin": "::1.2.3.4:1"}, "admin: ::1.2.3.4 is not loopback"),
        (without("secret"), "secret: none; allowed: one of this.* Draw one with: python"),
        (GOOD | {"secret": ""}, "secret: none; allowed"),
        (GOOD | {"secret": "dynamesis"}, "secret: 'dynamesis' is public; allowed"),
        (GOOD | {"tls": {"cert": "c", "ca": "a"}}, "tls: .*missing required field `key`"),
        (GOOD | {"tls": {"kee": "c"}}, "tls: .*; allowed: cert, key, ca"),
        (GOOD | {"params": {"durability": "no"}}, "params.durability: Invalid enum value 'no'"),
        (GOOD | {"params": {"durable_replicas": -1}}, "params.durable_replicas: -1; allowed: 0 or"),
        (
            GOOD | {"params": {"anti_entropy_interval": -1}},
            "params.anti_entropy_interval: -1.0; allowed: 0 or",
        ),
        (GOOD | {"peers": {"n2": "h:1"}}, "peers: no address for 'n3'"),
        (GOOD | {"members": []}, "members: none; allowed: all founders, or `seeds` for a node"),
        (GOOD | {"members": [], "seeds": ["n8"]}, "peers: no address for 'n8'"),
        (GOOD | {"peers": GOOD["peers"] | {"n2": "h"}}, "peers.n2: 'h' is not an address"),
        (GOOD | {"peers": GOOD["peers"] | {"n2": 1}}, "peers: Expected `str`, got `int`"),
        (GOOD | {"storage": {"engine": "tape"}}, "storage.engine: 'tape'; allowed engines: lmdb"),
        (GOOD | {"storage": {"size": 1}}, "storage: .*unknown field `size`; allowed: engine, map"),
        (GOOD | {"storage": {"map_size": 1}}, "storage.map_size: 1; allowed: 1048576 or more"),
        (GOOD | {"params": {"q": 1}}, "params: 'q'; allowed keys: partitions, n, r, w, sloppy"),
        (GOOD | {"params": {"node": "n2"}}, "params: 'node'; allowed keys"),
        (GOOD | {"params": {"n": "3"}}, "params.n: Expected `int`, got `str`"),
        (GOOD | {"params": {"partitions": 0}}, "params.partitions: 0; allowed: more than 0"),
        (GOOD | {"params": {"replica_timeout": -1}}, "params.replica_timeout: -1.*more than 0"),
        (GOOD | {"params": {"n": 4}}, "params.n: 4 replicas do not fit; allowed: 1 to 3"),
        (GOOD | {"params": {"n": 2, "w": 3}}, "params.w: 3; allowed: 1 to n, which is 2"),
        (GOOD | {"params": {"r": 4}}, "params.r: 4; allowed: 1 to n, which is 3"),
        (GOOD | {"params": {"partitions": 10**40}}, "params.partitions: 10.*: at most 8192"),
        (GOOD | {"params": {"partitions": 65537}}, "params.partitions: 65537; .*: at most 8192"),
        (GOOD | {"params": {"max_key": 1723}}, "params.max_key: 1723; allowed: at most 1722"),
        (GOOD | {"params": {"max_value": 2 << 20}}, "params.max_value: .*; allowed: at most"),
        (GOOD | {"params": {"max_hops": 10**30}}, "params.max_hops: 10*; allowed: at most"),
        (GOOD | {"params": {"request_timeout": 1e308}}, "request_timeout: 1e.308; .*at most 1000"),
        (GOOD | {"params": {"gossip_interval": 1e-320}}, "gossip_interval: .*: 0.001 or more"),
        (GOOD | {"params": {"weights": {"n1": 1e308, "n2": 1e308}}}, "n1: 1e.308; it must be at"),
        (
            GOOD | {"params": {"zones": {"n1": "a"}, "zone_replicas": {"a": 4}}},
            "params.zone_replicas.a: 4; allowed: at most 3",
        ),
        (
            GOOD | {"params": {"zones": {"n1": "a", "n2": "b"}, "zone_replicas": {"b": -1}}},
            "params.zone_replicas.b: -1; allowed: 0 or more",
        ),
        (GOOD | {"storage": {"map_size": 10**21}}, "storage.map_size: 10*; allowed: at most"),
        (GOOD | {"log_files": 10**10}, "log_files: 10*; allowed: at most 1000"),
        (GOOD | {"hello_timeout": 1e300}, "hello_timeout: 1e.300; allowed: at most"),
        (GOOD | {"data": "a\0b"}, "data: Expected a path"),
        (GOOD | {"log": "a\0b"}, "log: Expected a path"),
        (GOOD | {"listen": "127.example.org:1"}, "127.example.org is not loopback"),
        (GOOD | {"node": "", "members": ["", "n2", "n3"]}, "node: '' is not a name: it is empty"),
        (GOOD | {"members": ["n1", "a\0b"]}, "members: .* is not a name: .* cannot be printed"),
        (GOOD | {"cluster": ""}, "cluster: '' is not a name"),
        (GOOD | {"peers": GOOD["peers"] | {"n" * 256: "h:1"}}, "peers: .*: it is over 255 bytes"),
        (GOOD | {"members": [], "seeds": ["n1"]}, "members: none; allowed: all founders"),
        (GOOD | {"hello_timeout": 0}, "hello_timeout: 0.*; allowed: more than 0"),
        (GOOD | {"parent": "stdout"}, "parent: Invalid enum value 'stdout'"),
        (GOOD | {"data": 5}, "data: Expected a path, got 5"),
        (["n1"], "Expected `object`, got `array`"),
        (None, "Expected `object`, got `null`"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, raw: object, message: str) -> None:
    path = write(tmp_path, raw)
    with pytest.raises(ConfigError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"node": ', "malformed JSON: Input data was truncated"),
        ("node: [", "malformed YAML: .*line 1"),
        ("\0", "malformed YAML: "),
        ('{"node": "n1", "node": "n1"}', "node: the key comes twice"),
        ('{"node": "n1", "params": {"r": 1, "n": 3, "r": 2}}', "r: the key comes twice"),
        ("node: n1\nlisten: a\nnode: n2\n", "node: the key comes twice"),
        ("node: n1\nparams: {r: 1, n: 3, 'r': 2}\n", "r: the key comes twice"),
        ("node: n1\npeers:\n  n2: a\n  n2: b\n", "n2: the key comes twice"),
        ("a: &a {b: {c: 1, c: 2}}\n", "c: the key comes twice"),
        ("data: 2001-99-99\n", "malformed YAML: month must be in 1..12"),
        ("log_size: !!int x\n", "malformed YAML: invalid literal"),
        (f"log_size: {'9' * 5000}\n", "malformed YAML: Exceeds the limit"),
        ("? [a]\n: 1\n", "malformed YAML: unhashable"),
        ('secret: "\\ud800"\n', "malformed YAML: .*surrogates not allowed"),
        ('? "\\ud800"\n: 1\n', "malformed YAML: .*surrogates not allowed"),
        ("params: {weights: {n1: .nan}}", "Object missing required"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, None, text)
    with pytest.raises(ConfigError, match=f"(?s)n1.conf: {message}"):
        load(path)


@pytest.mark.parametrize("key", ["reap_after", "anti_entropy_interval", "replica_timeout"])
@pytest.mark.parametrize("value", [".nan", ".inf"])
def test_a_time_is_a_finite_number(tmp_path: Path, key: str, value: str) -> None:
    text = yaml.safe_dump(without("params")) + f"params: {{{key}: {value}}}\n"
    with pytest.raises(ConfigError, match=f"params.{key}: "):
        load(write(tmp_path, None, text))


def test_the_largest_value_fits_in_a_frame_with_its_key() -> None:
    assert MOST_VALUE + MOST_KEY + (64 << 10) < CLIENT_LIMIT


def test_a_merged_key_may_be_overridden(tmp_path: Path) -> None:
    text = yaml.safe_dump(without("params")) + "params:\n  <<: {r: 1, w: 3}\n  w: 1\n"
    config = load(write(tmp_path, None, text))
    assert config.params == {"r": 1, "w": 1}


def test_a_file_with_a_secret_is_private_however_it_was_before(tmp_path: Path) -> None:
    path = write(tmp_path, {})
    path.chmod(0o644)
    write_private(path, b"secret")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"secret", 0o600)
    assert draw_secret() != draw_secret()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere: cannot be read: .*No such file"):
        load(tmp_path / "nowhere")
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary: cannot be read: .*utf-8"):
        load(path)


def test_a_file_without_an_end_or_a_writer_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "node.json"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match=r"node.json: a pipe without a writer; allowed: a f"):
        load(pipe)
    with pytest.raises(ConfigError, match="/dev/zero: it is longer than 16 MiB; allowed: YAML or"):
        load(Path("/dev/zero"))
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with open(pipe, "wb") as writer:
        writer.write(msgspec.json.encode(GOOD))
    # the writer has gone, but what it wrote is there as long as the pipe is open
    assert load(pipe).node == "n1"
    os.close(reader)


def test_a_certificate_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "node.pem"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match=r"tls: .*node.pem is a pipe; allowed: a PEM file"):
        server_context(Tls(pipe, tmp_path / "node.key", tmp_path / "ca.pem"))
    with pytest.raises(OSError, match=r"tls: .*node.pem is a pipe; allowed: a PEM file"):
        client_context(pipe)


def test_a_cluster_of_one_needs_no_peers() -> None:
    config = Config("n1", "h:1", "h:2", ("n1",), params={"n": 1, "r": 1, "w": 1})
    assert config.core_params().n == 1


def test_addresses() -> None:
    assert split_address("127.0.0.1:80") == ("127.0.0.1", 80)
    assert split_address("[::1]:80") == ("::1", 80)
    assert split_address("node.example.:80") == ("node.example.", 80)
    assert split_address("knöpfe.example:80") == ("knöpfe.example", 80)


def test_a_large_file_is_read_in_the_time_that_its_bytes_take(tmp_path: Path) -> None:
    """Each key was compared with all before it."""

    class Key(str):
        __slots__ = ()
        compared = 0

        def __eq__(self, other: object) -> bool:
            Key.compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    once([(Key(f"k{i}"), i) for i in range(2000)])
    assert Key.compared < 4000
