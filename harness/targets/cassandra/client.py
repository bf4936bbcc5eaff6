"""Registers, sets and counters on Cassandra, each in the ways that applications use.

A register is a row. Written plainly, the write with the latest timestamp wins, whatever the
order in which writes were acknowledged, and a compare-and-set is a read that a write follows. As
a lightweight transaction, every operation is decided by Paxos. A set is a row for each element,
which never conflict, or one row with all of them, which a writer reads and writes back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from dynamesis.checkers.history.op import Op
from dynamesis.harness.targets.cassandra.cql import Answered, CqlConnection
from dynamesis.harness.targets.client import Client, fail, ok, unknown

KEYSPACE = "dynamesis"
#: the table of each workload
TABLES = (
    "register (k text PRIMARY KEY, v text)",
    "elements (k text, e bigint, PRIMARY KEY (k, e))",
    "counters (k text PRIMARY KEY, n counter)",
)


#: what clients speak
WORKLOADS = ("register", "set", "counter")


class CassandraClient(Client):
    """Stays with one node while that takes connections."""

    def __init__(self, workload: str, options: Mapping[str, str]) -> None:
        """`options`: those of the target."""
        self._workload = workload
        self._options = options
        self._level = options["consistency"]
        self._turn = 0
        self._addresses: dict[str, str] = {}
        self._connection: CqlConnection | None = None

    async def open(self, addresses: Mapping[str, str]) -> None:
        await self.close()
        self._addresses = dict(addresses)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    async def invoke(self, op: Op) -> Op:
        node = list(self._addresses)[(self.thread + self._turn) % len(self._addresses)]
        sent = False
        try:
            if self._connection is None:
                self._connection = await CqlConnection.open(self._addresses[node])
            sent = op.f != "read"
            done = await self._perform(op, self._connection)
        except Answered as error:
            done = (unknown if sent and not error.definite else fail)(op, error.code, str(error))
        except (OSError, EOFError) as broken:
            self._turn += 1
            await self.close()
            message = f"{type(broken).__name__}: {broken}"
            done = (unknown if sent else fail)(op, "disconnected", message)
        done.node = node
        return done

    async def _perform(self, op: Op, to: CqlConnection) -> Op:
        if self._workload == "counter":
            return await self._count(op, to)
        if self._workload == "set":
            return await (self._element if self._options["sets"] == "rows" else self._whole)(op, to)
        decided = self._options["registers"] == "lwt"
        return await (self._decide if decided else self._overwrite)(op, to)

    # ---- registers

    async def _overwrite(self, op: Op, to: CqlConnection) -> Op:
        """A register where the last writer wins."""
        if op.f == "read":
            return ok(op, await self._get(op, to, self._level))
        value = op.value
        if op.f == "cas":
            old, value = op.value
            if await self._get(op, to, self._level) != old:
                return fail(op, "not-equal")
        await self._put(op, to, value)
        return ok(op)

    async def _decide(self, op: Op, to: CqlConnection) -> Op:
        """A register of lightweight transactions. A write has a condition that always holds,
        since a plain one would go round Paxos; a read asks Paxos whether one is under way."""
        if op.f == "read":
            return ok(op, await self._get(op, to, "serial"))
        if op.f == "cas":
            compared, held, value = "=", _text(op.value[0]), op.value[1]
        else:
            compared, held, value = "!=", "", op.value  # no register ever holds that
        update = f"UPDATE {KEYSPACE}.register SET v = ? WHERE k = ? IF v {compared} ?"
        rows = await to.run(update, (_text(value), op.key, held), self._level)
        return ok(op) if rows[0]["[applied]"] is True else fail(op, "not-equal")

    async def _get(self, op: Op, to: CqlConnection, level: str) -> Any:
        statement = f"SELECT v FROM {KEYSPACE}.register WHERE k = ?"
        rows = await to.run(statement, (op.key,), level)
        held = rows[0]["v"] if rows else None
        return json.loads(held) if isinstance(held, str) else None

    async def _put(self, op: Op, to: CqlConnection, value: Any) -> None:
        statement = f"INSERT INTO {KEYSPACE}.register (k, v) VALUES (?, ?)"
        await to.run(statement, (op.key, _text(value)), self._level, self._now())

    def _now(self) -> int | None:
        """The timestamp of a write, us since 1970: of this client's clock where that is wrong,
        of the node's (None) where none is."""
        skew = int(self._options["skew"]) * self.thread
        return time.time_ns() // 1000 + skew * 1000 if skew else None

    # ---- sets

    async def _element(self, op: Op, to: CqlConnection) -> Op:
        """A set with a row for each element."""
        if op.f == "read":
            statement = f"SELECT e FROM {KEYSPACE}.elements WHERE k = ?"
            rows = await to.run(statement, (op.key,), self._level)
            return ok(op, [row["e"] for row in rows])
        statement = f"INSERT INTO {KEYSPACE}.elements (k, e) VALUES (?, ?)"
        await to.run(statement, (op.key, op.value), self._level, self._now())
        return ok(op)

    async def _whole(self, op: Op, to: CqlConnection) -> Op:
        """A set in one row, which is read, changed and written back."""
        elements = await self._get(op, to, self._level) or []
        if op.f == "read":
            return ok(op, elements)
        await self._put(op, to, [*elements, op.value])
        return ok(op)

    # ---- counters

    async def _count(self, op: Op, to: CqlConnection) -> Op:
        if op.f == "read":
            statement = f"SELECT n FROM {KEYSPACE}.counters WHERE k = ?"
            rows = await to.run(statement, (op.key,), self._level)
            return ok(op, rows[0]["n"] if rows else 0)
        statement = f"UPDATE {KEYSPACE}.counters SET n = n + ? WHERE k = ?"
        await to.run(statement, (op.value, op.key), self._level)
        return ok(op)


def _text(value: Any) -> str | None:
    """A value as its column has it."""
    return None if value is None else json.dumps(value)
