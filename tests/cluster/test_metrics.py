"""A real node, scraped as Prometheus would."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
from pathlib import Path

import pytest
from dynamesis.cluster.client.client import BadRequest, Client, RequestOptions
from dynamesis.cluster.process import metrics as module
from dynamesis.cluster.process.metrics import MetricsPort
from dynamesis.harness.processes.ports import reserve
from node_world import NodeAlone, Raw, ended, in_loop, until
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.cluster


async def fetch(address: str, request: bytes) -> bytes:
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 100)
    except ConnectionResetError:  # it hung up with some of the request unread
        return b""
    finally:
        writer.close()


def samples(text: str) -> dict[tuple[str, ...], float]:
    """(name, label values in order but for the node's) -> value."""
    return {
        (sample.name, *(v for k, v in sorted(sample.labels.items()) if k != "node")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@in_loop
async def test_metrics_report_what_was_done(tmp_path: Path) -> None:
    with reserve(3) as ports:
        scraped = f"127.0.0.1:{ports.take()}"
        alone = NodeAlone(tmp_path, ports.take(), ports.take(), metrics=scraped)
        with ended(alone):
            alone.start()
            await alone.ready()
            async with Client([alone.address]) as store:
                for value in (b"1", b"2", b"3"):
                    await store.put(b"k", value)
                await store.get(b"k")
                with pytest.raises(BadRequest):
                    await store.get(b"k", options=RequestOptions(r=2))
            answer = await fetch(scraped, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.0 200 OK")
            seen = samples(body.decode())
            assert seen["dynamesis_request_seconds_count", "put"] == 3
            assert seen["dynamesis_request_seconds_count", "get"] == 1
            assert 0 < seen["dynamesis_request_seconds_last_minute", "put", "0.99"] < 20
            assert seen["dynamesis_siblings_per_read_sum",] == 3
            assert seen["dynamesis_refusals_total", "bad-request"] == 1
            assert seen["dynamesis_objects",] == 1
            assert seen["dynamesis_resident_bytes",] > 1 << 20
            buckets = [seen[name] for name in seen if name[0] == "dynamesis_request_seconds_bucket"]
            assert len(buckets) == 2 * 21, "they are all there, filled or not"
            assert seen["dynamesis_request_seconds_bucket", "put", "+Inf"] == 3
            assert seen["dynamesis_siblings_per_read_bucket", "2"] == 0
            assert seen["dynamesis_siblings_per_read_bucket", "3"] == 1
            assert samples(await alone.ask("metrics")).keys() == seen.keys()
            assert b"404" in await fetch(scraped, b"GET / HTTP/1.1\r\n\r\n")
            assert await fetch(scraped, b"x" * 100_000) == b""
            assert (await alone.ask("status"))["ready"]


@in_loop
async def test_scrapers_without_end_keep_neither_an_administrator_nor_each_other_out(
    tmp_path: Path,
) -> None:
    """Each connection that asks for nothing has a descriptor for five seconds."""
    with reserve(3) as ports:
        scraped = f"127.0.0.1:{ports.take()}"
        alone = NodeAlone(tmp_path, ports.take(), ports.take(), metrics=scraped)
        with ended(alone):
            process = alone.start()
            await alone.ready()
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (100, 100))
            silent = []
            for _ in range(150):
                with contextlib.suppress(TimeoutError, OSError):
                    silent.append(await asyncio.wait_for(Raw.dial(scraped), 0.1))
            assert len(silent) > 50
            assert (await alone.ask("status"))["ready"]
            assert len(os.listdir(f"/proc/{process.pid}/fd")) < 60
            assert b"dynamesis_objects" in await fetch(scraped, b"GET /metrics HTTP/1.1\r\n\r\n")
            await until(lambda: alone.events("idle-closed"), "the oldest was closed")
            assert alone.events("idle-closed")[0]["reason"] == "16 connections are in use"
            assert process.poll() is None


@in_loop
async def test_a_text_is_made_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FRESH", 1000.0)
    made: list[None] = []

    def text() -> bytes:
        made.append(None)
        return b"figures"

    port = MetricsPort(text, lambda event, **fields: None)
    with reserve(1) as ports:
        address = f"127.0.0.1:{ports.take()}"
        await port.bind(address)
        for _ in range(20):
            assert (await fetch(address, b"GET /metrics HTTP/1.1\r\n\r\n")).endswith(b"figures")
        port.close()
    assert len(made) == 1


@in_loop
async def test_a_node_that_no_one_scrapes_does_not_load_the_library(tmp_path: Path) -> None:
    with reserve(2) as ports, ended(NodeAlone(tmp_path, ports.take(), ports.take())) as alone:
        process = alone.start()
        await alone.ready()
        before = (await alone.ask("status"))["rss"]
        await alone.ask("metrics")
        assert (await alone.ask("status"))["rss"] - before > 1 << 20
        assert process.poll() is None


@in_loop
async def test_a_scraper_that_does_not_read_has_its_descriptor_no_longer_than_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.5)
    port = MetricsPort(lambda: bytes(16 << 20), lambda event, **fields: None)
    with reserve(1) as ports:
        address = f"127.0.0.1:{ports.take()}"
        await port.bind(address)
        before = len(os.listdir("/proc/self/fd"))
        deaf = [await Raw.dial(address, taken=64 << 10) for _ in range(5)]
        for raw in deaf:
            raw._writer.transport.pause_reading()  # type: ignore[attr-defined]
            raw.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        await until(lambda: len(port._open) == 5, "they are served")
        await until(lambda: not port._open, "their time is over")
        await until(lambda: len(os.listdir("/proc/self/fd")) == before + 5, "they are closed")
        port.close()
