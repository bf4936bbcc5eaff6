"""`python -m dynamesis.cluster --config FILE`: one node in the foreground.

Exit codes: 0 stopped as asked, 2 wrong configuration (or not that of the disk), 4 the environment
failed (a port or the data is taken, the storage cannot be opened), 70 the node crashed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import sys
from pathlib import Path

from dynamesis.cluster.config.config import Config, ConfigError, load
from dynamesis.cluster.process.core_protocol import MakeCore
from dynamesis.cluster.process.interpreter import SWITCH_INTERVAL, loop_factory
from dynamesis.cluster.process.parent import follow, follow_stdin
from dynamesis.cluster.process.server import NodeServer
from dynamesis.cluster.storage.base import StorageFailed
from dynamesis.cluster.storage.belonging import OtherDisk

EXIT_USAGE = 2
EXIT_ENVIRONMENT = 4
#: open files that a node needs at least, and that it asks for
_DESCRIPTORS = 64
_MOST_DESCRIPTORS = 16_384


def main(argv: list[str], make_core: MakeCore | None = None) -> int:
    """Run the node that `--config` describes, and return its exit code. `make_core` puts
    another core into the same shell."""
    parser = argparse.ArgumentParser(
        prog="python -m dynamesis.cluster", description="Run one node."
    )
    parser.add_argument("--config", type=Path, required=True, help="YAML or JSON file")
    path: Path = parser.parse_args(argv).config
    try:
        config = load(path)
    except ConfigError as error:
        return _fail(EXIT_USAGE, str(error))
    try:
        make_core = make_core or _core(config)
    except ValueError as error:
        return _fail(EXIT_USAGE, f"{path}: bugs: {error}")
    if config.parent == "stdin":
        follow_stdin()
    allowed = _more_descriptors()
    if allowed < _DESCRIPTORS:
        return _fail(
            EXIT_ENVIRONMENT,
            f"node {config.node}: this process may open {allowed} files (ulimit -n); "
            f"allowed: {_DESCRIPTORS} or more",
        )
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_live(config, make_core))
    except OtherDisk as error:
        return _fail(EXIT_USAGE, f"{path}: {error}")
    except (OSError, StorageFailed) as error:
        return _fail(EXIT_ENVIRONMENT, f"node {config.node}: {error}")
    return 0


def _more_descriptors() -> int:
    """Raise the limit on open files as far as this process may; what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return _MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _fail(code: int, message: str) -> int:
    print(message, file=sys.stderr)
    return code


async def _live(config: Config, make_core: MakeCore) -> None:
    await NodeServer(config, make_core).run()


def _core(config: Config) -> MakeCore:
    """The node, with the bugs that were asked for in it. Raises ValueError."""
    from dynamesis.cluster.core.node.node import Node

    if not config.bugs:
        return Node
    from dynamesis.cluster import zoo

    return zoo.plant(config.bugs)


if __name__ == "__main__":
    follow()
    sys.exit(main(sys.argv[1:]))
