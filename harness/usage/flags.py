"""The flags that say what a cluster is like: `test` and `cluster` have them in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

#: Every error of the option parser descends from it; typer's own click has no public name.
ParserError: type[Exception] = typer.BadParameter.__mro__[2]

Nodes = Annotated[int, Option(help="How many nodes.")]
N = Annotated[int, Option("--n", help="Copies of each key.")]
R = Annotated[int, Option("--r", help="Copies that must answer a get.")]
W = Annotated[int, Option("--w", help="Copies that must acknowledge a put.")]
Strict = Annotated[bool, Option("--strict", help="No sloppy quorum: only primaries count.")]
LinksKind = Annotated[str, Option(help="What the network is made of.")]
Storage = Annotated[str, Option(help="What nodes persist into.")]
Bug = Annotated[
    list[str] | None,
    Option(help="Plant a bug, NAME or FILE.py:NAME, in every node; may be repeated."),
]
Tls = Annotated[
    Path | None,
    Option(help="Encrypt everything, with node.pem, node.key and ca.pem of this folder."),
]
Param = Annotated[
    list[str] | None,
    Option(help="Tell every node NAME=VALUE, in YAML (docs/node.md); may be repeated."),
]
PortBase = Annotated[
    int | None, Option(help="First of the ports to use; by default free ones are found.")
]
Store = Annotated[Path, Option(help="Folder of results.")]
