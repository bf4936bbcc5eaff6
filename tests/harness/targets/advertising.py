"""The key-value store of tests/targets, configured with one address for each node."""

from __future__ import annotations

import sys
from pathlib import Path

from dynamesis.harness.targets.site import NodeSite, Site
from dynamesis.harness.targets.target import Command

sys.path.insert(0, str(Path(__file__).parents[2] / "targets"))
from kv import SERVER, Kv


class Advertising(Kv):
    name = "advertising"
    links = "nodes"
    programs = (sys.executable,)

    def command(self, node: NodeSite, site: Site) -> Command:
        first = site.nodes[0]
        primary = "-" if node.name == first else ":".join(map(str, site.advertised(first)))
        where = [node.name, node.ports["client"], node.data, primary]
        return Command([sys.executable, SERVER, *map(str, where)])


class OfUnknownProgram(Advertising):
    name = "unknown-program"
    programs = ()
