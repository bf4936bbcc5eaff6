"""The targets of learning_server.py: nodes that learn each other's own addresses, and such that
do not."""

from __future__ import annotations

import sys
from pathlib import Path

from dynamesis.targets import Command, NodeSite, Site

sys.path.append(str(Path(__file__).parent))
from spread import Spread

SERVER = Path(__file__).with_name("learning_server.py")


class Keeps(Spread):
    how = "keeps"

    def command(self, node: NodeSite, site: Site) -> Command:
        peers = site.peers(node.name)
        return Command([sys.executable, "-IS", SERVER, node.ports["client"], self.how, *peers])


class Learns(Keeps):
    how = "learns"


class Careless(Keeps):
    """Is configured with where the others listen, in place of the proxies."""

    def command(self, node: NodeSite, site: Site) -> Command:
        peers = [site.node[peer].address() for peer in site.nodes if peer != node.name]
        return Command([sys.executable, "-IS", SERVER, node.ports["client"], self.how, *peers])
