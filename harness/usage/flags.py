"""Flags that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

Store = Annotated[Path, Option(help="Folder of results.")]
Json = Annotated[bool, Option("--json", help="Print JSON.")]
Node = Annotated[str | None, Option(help="The node to ask, such as n2; any when absent.")]
Context = Annotated[str | None, Option(help="Context, as get or put printed it.")]
Quiet = Annotated[
    bool, Option("--quiet", "-q", help="Show nothing but how it ended.", rich_help_panel="Output")
]
Plain = Annotated[
    bool,
    Option("--plain", help="Plain lines, even on a terminal.", rich_help_panel="Output"),
]
STORE = Path("store")
