"""Puts a test together: the cluster, the links before it, the workload and the nemesis.

Only here does the harness meet the store that it tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from checkers.op import Op
from cluster.supervisor import Cluster
from harness import generators as gen
from harness.cli.options import PARTITIONS, Options
from harness.generators.base import Thread
from harness.interpreter import Worker
from harness.links import LINKS
from harness.links.base import Links, Route, plan_routes
from harness.nemesis import Nemesis
from harness.ports import Ports, reserve
from harness.reaper import Reaper
from harness.recorder import Recorder
from harness.runner import Parts
from harness.store import LEDGER, Folder
from workloads import WORKLOADS
from workloads.client import Contexts, DynamoClient, decode
