"""What checking costs: time, memory, and how both grow with the history.

Each case writes a history of a given number of operations to a file, in a process of its
own; another process then loads and checks it, so that its peak memory is that of a check
and nothing else. The clock is the caller's: checkers have none. CPU time is given beside
wall time, since a busy machine stretches only the latter.
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from dynamesis.checkers.history.history import encode, read_history
from dynamesis.checkers.history.op import JsonObject, Op
from dynamesis.checkers.models.models import ModelOptions, check_model
from dynamesis.checkers.simulate import simulate, simulate_txn

#: seconds, from any beginning
Clock = Callable[[], float]


@dataclass(frozen=True)
class Case:
    """A model, the shape of its histories, and what else is asked."""

    model: str
    about: str
    generate: Callable[[int], Iterable[Op]]
    options: ModelOptions = field(default_factory=ModelOptions)


def _dynamo(count: int) -> Iterable[Op]:
    return simulate.Store(1, count, keys=max(1, count // 500), clients=20).ops()


def _hot(count: int) -> Iterable[Op]:
    return simulate.Store(1, count, keys=max(1, count // 500), clients=20, hot=0.3).ops()


def _append(count: int) -> Iterable[Op]:
    return simulate_txn.transactions(1, count)


def _write(count: int) -> Iterable[Op]:
    return simulate_txn.transactions(1, count, append=False)


def _few(count: int) -> Iterable[Op]:
    return simulate_txn.registers(1, count, keys=10)


def _many(count: int) -> Iterable[Op]:
    return simulate_txn.registers(1, count, keys=1000)


def _one(count: int) -> Iterable[Op]:
    return simulate_txn.registers(1, count, keys=1, clients=20)


def _exchanges(count: int) -> Iterable[Op]:
    return simulate_txn.exchanges(1, count, keys=max(1, count // 1000))


_SEQUENTIAL = ModelOptions(assume=("wfr", "sequential"))
_LINEARIZABLE = ModelOptions(assume=("wfr", "linearizable"))

#: name -> case
CASES: dict[str, Case] = {
    "dynamo": Case("dynamo", "many keys", _dynamo, ModelOptions(test=simulate.TEST)),
    "dynamo-hot": Case(
        "dynamo", "one key in three operations", _hot, ModelOptions(test=simulate.TEST)
    ),
    "list-append": Case("list-append", "strict-serializable", _append),
    "rw-sequential": Case("rw-register", "sequential keys", _write, _SEQUENTIAL),
    "rw-linearizable": Case("rw-register", "linearizable keys", _write, _LINEARIZABLE),
    "register-1000": Case("register", "1000 keys", _many),
    "register-10": Case("register", "10 keys", _few),
    "register-1": Case("register", "one key, 20 clients", _one),
    "cas-register": Case("cas-register", "1000 operations a key, 10 clients", _exchanges),
}


@dataclass(frozen=True)
class Measurement:
    """One measurement. Times in s, memory in MiB; `operations` are invocations."""

    case: str
    operations: int
    load_s: float
    check_s: float
    cpu_s: float
    check_cpu_s: float
    operations_per_s: float
    peak_mib: int
    file_mib: float
    valid: bool | str

    def to_dict(self) -> JsonObject:
        """Plain data."""
        return asdict(self)


def run(
    sizes: Sequence[int], clock: Clock, cases: Sequence[str] = tuple(CASES)
) -> Iterator[Measurement]:
    """Measure every case at every size, smallest first."""
    with tempfile.TemporaryDirectory() as folder:
        for name in cases:
            for size in sorted(sizes):
                path = Path(folder) / f"{name}-{size}.jsonl"
                alone(_generate, name, size, path)
                yield alone(_measure, name, size, path, clock)
                path.unlink()


def alone(function: Callable[..., Any], *args: Any) -> Any:
    """The result of a function that runs in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result()


def _generate(name: str, size: int, path: Path) -> None:
    with open(path, "wb") as file:
        file.writelines(encode(op) for op in CASES[name].generate(size))


def cpu() -> float:
    """The CPU time of this process, s."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _measure(name: str, size: int, path: Path, clock: Clock) -> Measurement:
    case = CASES[name]
    start, used = clock(), cpu()
    history = read_history(path)
    loaded, loaded_cpu = clock(), cpu()
    results = check_model(case.model, history, case.options)
    done, done_cpu = clock(), cpu()
    return Measurement(
        name,
        size,
        round(loaded - start, 3),
        round(done - loaded, 3),
        round(done_cpu - used, 3),
        round(done_cpu - loaded_cpu, 3),
        round(size / (done - start)),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        round(path.stat().st_size / (1 << 20), 1),
        results.verdict.json,
    )


def exponents(rows: Iterable[Measurement]) -> dict[str, float]:
    """By case: the power of its size by which CPU time grows (least squares over logarithms),
    from at least two sizes."""
    by_case: dict[str, list[Measurement]] = {}
    for row in rows:
        by_case.setdefault(row.case, []).append(row)
    return {
        name: round(float(np.polyfit(*_logs(same), 1)[0]), 3)
        for name, same in by_case.items()
        if len(same) > 1
    }


def _logs(rows: list[Measurement]) -> tuple[Any, Any]:
    measured = [(row.operations, row.cpu_s) for row in rows]
    sizes, times = zip(*measured, strict=True)
    return np.log(sizes), np.log(times)
