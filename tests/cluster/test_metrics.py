"""A real node, scraped as Prometheus would."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from dynamesis.cluster.client.client import BadRequest, Client, RequestOptions
from dynamesis.cluster.core.runtime.stats import BOUNDS
from dynamesis.cluster.process import metrics
from dynamesis.harness.processes.ports import reserve
from node_world import NodeAlone, ended, in_loop
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


#: a node's answers to `status` and `figures`, as small as they can be
STATUS = {field: 1 for field, _ in metrics._GAUGES.values()}
FIGURES = {
    "latency": {
        "put": {"buckets": [0, 2, *[0] * (len(BOUNDS) - 2)], "sum": 0.5, "quantiles": {"0.5": None}}
    },
    "siblings": {1: 2, 3: 1},
    "clock": {},
    "refusals": {"bad-request": 4},
    "read_repairs": 5,
    "exchange_repairs": 6,
}


@pytest.mark.parametrize("node", ["n1", 'a"b', "a\\nb", "a\nb", "ü, x=1}"])
def test_any_name_of_a_node_is_read_back_from_its_metrics(node: str) -> None:
    text = metrics.render(node, STATUS, FIGURES).decode()
    found = list(text_string_to_metric_families(text))
    assert {sample.labels["node"] for family in found for sample in family.samples} == {node}
    assert {family.type for family in found} == {"counter", "gauge", "histogram"}
    seen = samples(text)
    assert seen["dynamesis_request_seconds_count", "put"] == 2
    assert seen["dynamesis_request_seconds_sum", "put"] == 0.5
    assert seen["dynamesis_siblings_per_read_bucket", "2"] == 2
    assert seen["dynamesis_siblings_per_read_sum",] == 5
    assert seen["dynamesis_clock_actors_per_read_count",] == 0
    assert seen["dynamesis_repairs_total", "exchange"] == 6


def test_a_node_needs_no_library_for_its_metrics() -> None:
    """Its cost, a tenth of a second, would come five times at the end of each test."""
    program = (
        "import sys; from dynamesis.cluster.process.metrics import render; "
        f"render('n1', {STATUS!r}, {FIGURES!r}); "
        "sys.exit('prometheus_client' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
