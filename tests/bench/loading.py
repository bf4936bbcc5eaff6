"""What loading a history costs, held against msgspec alone: `python tests/bench/loading.py
[OPERATIONS ...] [--rounds 3]`.

msgspec alone decodes each line of the file into an event, keeps them all, and finds nothing wrong;
`read_history` makes columns of them, pairs them, and checks that they are well-formed. Both without
collections, each time in a process of its own, in turn; given is the least CPU time of each, which
a busy machine stretches less than the time that passes.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from pathlib import Path

import msgspec
from dynamesis.checkers.history.history import encode, read_history
from dynamesis.checkers.history.op import Line
from dynamesis.checkers.simulate.bench import CASES, alone, cpu

NAMES = ("register-1000", "list-append")


def generate(name: str, operations: int, path: Path) -> None:
    """Write the history of a case."""
    with path.open("wb") as file:
        file.writelines(encode(op) for op in CASES[name].generate(operations))


def msgspec_alone(path: Path) -> float:
    """s of CPU that decoding each line takes."""
    gc.disable()
    decode, began = msgspec.json.Decoder(Line).decode, cpu()
    with path.open("rb") as lines:
        kept = [decode(line) for line in lines]
    took = cpu() - began
    del kept
    return took


def loading(path: Path) -> float:
    """s of CPU that loading takes."""
    gc.disable()
    began = cpu()
    history = read_history(path)
    took = cpu() - began
    del history
    return took


def main() -> None:
    """Measure, and print a row for each history."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operations", type=int, nargs="*", default=[200_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print("history             operations   msgspec alone, s   loading, s   ratio")
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            for operations in asked.operations:
                path = Path(folder) / f"{name}.jsonl"
                alone(generate, name, operations, path)
                rounds = [
                    (alone(msgspec_alone, path), alone(loading, path)) for _ in range(asked.rounds)
                ]
                bare, whole = (min(each) for each in zip(*rounds, strict=True))
                print(
                    f"{name:18}{operations:12,}{bare:19.2f}{whole:13.2f}{whole / bare:8.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
