"""Flags that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

Store = Annotated[Path, Option(help="Folder of results.")]
Json = Annotated[bool, Option("--json", help="Print JSON.")]
Node = Annotated[str | None, Option(help="The node to ask, such as n2; any when absent.")]
Context = Annotated[str | None, Option(help="Context, as get or put printed it.")]
STORE = Path("store")
