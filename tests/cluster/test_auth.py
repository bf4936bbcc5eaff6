"""Which peers a node accepts, from where, and what the wire shows of the secret."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dynamesis.cluster.client.admin import AdminClient
from dynamesis.cluster.client.client import Client, InDoubt, Unreachable
from dynamesis.cluster.config.tls import Tls, client_context
from dynamesis.cluster.core.protocol.messages import Ask, AskReply, Hello, Refusal, Welcome
from dynamesis.cluster.net import auth as guard
from dynamesis.cluster.net.exceptions import DynamoError
from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.supervisor import unwatched
from dynamesis.harness.processes.ports import Ports, reserve
from node_world import ADMIN, SECRET, NodeAlone, Raw, ended, in_loop, until, with_proof

NODE = Hello("n1", "dynamesis", nonce=b"a" * 16)
ACCEPTED = Hello("n2", "dynamesis", nonce=b"b" * 16)


# ---- the proof


def test_a_proof_is_bound_to_everything_that_was_sent() -> None:
    base = guard.proof("s", "dialled", NODE, ACCEPTED)
    replace = msgspec.structs.replace
    others = [
        guard.proof("t", "dialled", NODE, ACCEPTED),
        guard.proof("s", "accepted", NODE, ACCEPTED),
        guard.proof("s", "dialled", replace(NODE, node="n3"), ACCEPTED),
        guard.proof("s", "dialled", replace(NODE, role="admin"), ACCEPTED),
        guard.proof("s", "dialled", replace(NODE, nonce=b"c" * 16), ACCEPTED),
        guard.proof("s", "dialled", NODE, replace(ACCEPTED, node="n3")),
        guard.proof("s", "dialled", NODE, replace(ACCEPTED, cluster="other")),
        guard.proof("s", "dialled", NODE, replace(ACCEPTED, nonce=b"c" * 16)),
    ]
    assert len({base, *others}) == 1 + len(others)
    assert guard.proven(base, guard.proof("s", "dialled", NODE, ACCEPTED))
    assert not guard.proven(b"", base)


# ---- a real node


@pytest.fixture
def ports() -> Iterator[Ports]:
    with reserve(8) as ports:
        yield ports


@pytest.mark.cluster
@in_loop
async def test_nodes_and_administrators_must_know_the_secret(tmp_path: Path, ports: Ports) -> None:
    alone = NodeAlone(tmp_path, ports.take(), ports.take())
    with ended(alone):
        alone.start()
        await alone.ready()
        speakers = ((alone.address, Hello("n1", "dynamesis")), (alone.admin, ADMIN))
        for address, mine in speakers:
            for secret in (None, "wrong"):
                raw = await Raw.dial(address)
                theirs = await raw.read()
                assert isinstance(theirs, Hello)
                raw.say(
                    mine if secret is None else with_proof(mine, theirs, secret), Ask(1, "stop")
                )
                refusal = await raw.read()
                assert isinstance(refusal, Refusal)
                assert "must know the secret" in refusal.message
                assert await raw.read() is None
        await until(lambda: len(alone.events("wrong-secret")) == 4, "all four are logged")
        with pytest.raises(Unreachable, match="must know the secret"):
            async with AdminClient(alone.admin, secret="wrong") as admin:
                await admin.ask("status")
        assert (await alone.ask("status"))["ready"]


@pytest.mark.cluster
@in_loop
async def test_a_proof_that_was_overheard_proves_nothing(tmp_path: Path, ports: Ports) -> None:
    alone = NodeAlone(tmp_path, ports.take(), ports.take())
    with ended(alone):
        alone.start()
        await alone.ready()
        first = await Raw.dial(alone.admin)
        theirs = await first.read()
        assert isinstance(theirs, Hello)
        overheard = with_proof(ADMIN, theirs)
        first.say(overheard)
        assert isinstance(await first.read(), Welcome)
        first.say(Ask(1, "status"))
        assert isinstance(await first.read(), AskReply)
        second = await Raw.dial(alone.admin)
        assert isinstance(await second.read(), Hello)
        second.say(overheard)
        assert isinstance(await second.read(), Refusal)
        assert await second.read() is None


@pytest.mark.cluster
@in_loop
async def test_whatever_is_dialled_must_know_the_secret_too(tmp_path: Path, ports: Ports) -> None:
    """An impostor at a node's address echoes a proof of the wrong secret."""
    alone = NodeAlone(tmp_path, ports.take(), ports.take(), secret="theirs")
    with ended(alone):
        alone.start()
        await until(lambda: alone.events("start"), "it listens")
        with pytest.raises(Unreachable, match="must know the secret"):
            await alone.ask("status")
        theirs = Hello("n1", "dynamesis", nonce=b"x" * 16)
        async with _impostor(theirs, ports) as address:
            with pytest.raises(Unreachable, match="n1 does not know the secret"):
                async with AdminClient(address, secret=SECRET) as admin:
                    await admin.ask("status")


@contextlib.asynccontextmanager
async def _impostor(hello: Hello, ports: Ports) -> AsyncIterator[str]:
    import asyncio

    from dynamesis.cluster.net.wire import encode

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode(hello))
        await reader.read(1000)
        writer.write(encode(Welcome(b"\0" * 32)))
        await reader.read()
        writer.close()

    port = ports.take()
    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.close()


@pytest.mark.cluster
@in_loop
async def test_clients_need_the_secret_only_where_that_is_configured(
    tmp_path: Path, ports: Ports
) -> None:
    alone = NodeAlone(tmp_path, ports.take(), ports.take(), clients_prove=True)
    with ended(alone):
        alone.start()
        await alone.ready()
        async with Client([alone.address], secret=SECRET) as store:
            await store.put(b"k", b"v")
            assert (await store.get(b"k")).values == (b"v",)
        for secret in (None, "wrong"):
            async with Client([alone.address], secret=secret) as store:
                with pytest.raises((Unreachable, InDoubt), match="must know the secret"):
                    await store.get(b"k")


@pytest.mark.cluster
@in_loop
async def test_a_node_with_another_secret_gets_no_link(tmp_path: Path, ports: Ports) -> None:
    first, second = (f"127.0.0.1:{ports.take()}" for _ in range(2))
    members: dict[str, Any] = {"members": ["n1", "n2"], "params": {"n": 1, "r": 1, "w": 1}}
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
    one = NodeAlone(
        tmp_path / "1", ports.take(), ports.take(), listen=first, peers={"n2": second}, **members
    )
    two = NodeAlone(
        tmp_path / "2",
        ports.take(),
        ports.take(),
        node="n2",
        listen=second,
        peers={"n1": first},
        secret="other",
        **members,
    )
    with ended(one), ended(two):
        one.start()
        two.start()
        await until(lambda: one.events("wrong-secret"), "n1 refuses n2")
        await until(lambda: two.events("wrong-secret"), "n2 refuses n1")
        status = await one.ask("status")
        assert not status["links"]["n2"]["up"]
        assert not one.events("link-up")


# ---- TLS


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    """A certificate of an authority's, made for this test."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make certificates with")
    return certificate(openssl, tmp_path / "certificates")


def certificate(openssl: str, folder: Path, days: int = 2) -> Tls:
    folder.mkdir()

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    run("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
    run("req", *new[:4], "-nodes", "-keyout", "node.key", "-out", "node.csr", "-subj", "/CN=node")
    run(
        "x509",
        "-req",
        "-in",
        "node.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        str(days),
        "-out",
        "node.pem",
    )
    return Tls(folder / "node.pem", folder / "node.key", folder / "ca.pem")


@pytest.mark.cluster
@in_loop
async def test_a_cluster_speaks_tls_on_every_port_and_link(
    tmp_path: Path, ports: Ports, tls: Tls
) -> None:
    names = ("n1", "n2")
    listen = {name: f"127.0.0.1:{ports.take()}" for name in names}
    admin = {name: f"127.0.0.1:{ports.take()}" for name in names}
    peers = {"n1": {"n2": listen["n2"]}, "n2": {"n1": listen["n1"]}}
    params = {"n": 2, "r": 2, "w": 2}
    cluster = unwatched(
        ClusterSpec(names, tmp_path, listen, admin, peers, params, "memory", tls=tls)
    )
    try:
        await cluster.start_all()
        async with Client([listen["n1"]], tls=client_context(tls.ca)) as store:
            await store.put(b"k", b"v")
            assert (await store.get(b"k")).values == (b"v",)
        assert len(await cluster.dump("n2")) == 1
        for address in (*listen.values(), *admin.values()):
            await _plain_talk_fails(address)
        other = certificate(shutil.which("openssl") or "", tmp_path / "other")
        async with Client([listen["n1"]], tls=client_context(other.ca)) as store:
            with pytest.raises(Unreachable, match="certificate verify failed"):
                await store.get(b"k")
        assert cluster.state("n1") == cluster.state("n2") == "running"
    finally:
        await cluster.stop_all()


@pytest.mark.cluster
@in_loop
async def test_handshakes_that_never_end_keep_no_other_out(
    tmp_path: Path, ports: Ports, tls: Tls
) -> None:
    """More of them than the node has descriptors: the administrator is answered, and so are
    clients once the first have been there for a while."""
    config = {name: str(getattr(tls, name)) for name in ("cert", "key", "ca")}
    context = client_context(tls.ca)
    with ended(NodeAlone(tmp_path, ports.take(), ports.take(), tls=config)) as node:
        process = node.start()

        async def status() -> Any:
            async with AdminClient(node.admin, 30.0, secret=SECRET, tls=context) as admin:
                return await admin.ask("status")

        while True:
            with contextlib.suppress(DynamoError):
                if (await status())["ready"]:
                    break
            await asyncio.sleep(0.05)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (100, 100))
        mute = []
        for _ in range(300):
            with contextlib.suppress(OSError):
                mute.append(await Raw.dial(node.address))
        assert (await status())["ready"]
        await until(lambda: node.events("connection-refused"), "some are refused by name")
        assert "descriptors are in use" in node.events("connection-refused")[0]["reason"]
        await asyncio.sleep(1.1)
        async with Client([node.address], tls=context, timeout=60.0, hello_timeout=30.0) as store:
            await store.put(b"k", b"v")
        await until(lambda: node.events("idle-closed"), "the oldest made room")
        mute[-1].write(b"no TLS at all")
        await until(lambda: node.events("handshake-failed"), "it is logged as a failed handshake")
        assert (await status())["ready"]
        assert process.poll() is None


async def _plain_talk_fails(address: str) -> None:
    async with Client([address], hello_timeout=0.5, timeout=1.0) as store:
        with pytest.raises(DynamoError) as caught:
            await store.get(b"k")
    assert caught.value.definite


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"cert": "no.pem"}, "no.pem, {key}: No such file"),
        ({"ca": "no.ca"}, "no.ca: No such file"),
        ({"key": "other.key"}, "other.key: [X509: KEY_VALUES_MISMATCH]"),
        ({"ca": "node.json"}, "node.json: [X509"),
    ],
)
def test_a_certificate_that_is_none_is_an_error_of_the_environment(
    tmp_path: Path, ports: Ports, tls: Tls, wrong: dict[str, str], expected: str
) -> None:
    other = certificate(shutil.which("openssl") or "", tmp_path / "other")
    (tmp_path / "other.key").write_bytes(other.key.read_bytes())
    files = {"cert": str(tls.cert), "key": str(tls.key), "ca": str(tls.ca)}
    alone = NodeAlone(tmp_path, ports.take(), ports.take(), tls=files | wrong)
    with ended(alone):
        assert alone.start().wait(20) == 4
        assert expected.format(**files) in alone.errors.read_text()


@pytest.mark.cluster
@in_loop
async def test_a_certificate_that_has_expired_is_refused_and_the_reason_reported(
    tmp_path: Path, ports: Ports, tls: Tls
) -> None:
    expired = certificate(shutil.which("openssl") or "", tmp_path / "expired", days=-1)
    files = {"cert": str(expired.cert), "key": str(expired.key), "ca": str(expired.ca)}
    with ended(NodeAlone(tmp_path, ports.take(), ports.take(), tls=files)) as alone:
        alone.start()
        await until(lambda: alone.events("ready"), "it is ready")
        async with Client(
            [alone.address], tls=client_context(expired.ca), hello_timeout=10.0
        ) as store:
            with pytest.raises(Unreachable, match="certificate has expired"):
                await store.get(b"k")
