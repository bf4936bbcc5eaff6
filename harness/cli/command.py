"""A command whose --help lists its flags in groups, on any terminal."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

#: The heading of flags that have none of their own.
_OTHERS = "Options"
#: How some versions of typer name the type of a flag that may be repeated.
_LIST = re.compile(r"<list\[(\w+)\]>")


class GroupedCommand(TyperCommand):
    """Lists flags under the heading that `rich_help_panel` gives them."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                record = _LIST.sub(lambda found: f"<{found[1].lower()}>", record[0]), record[1]
                panel = "Arguments" if param.param_type_name == "argument" else None
                panel = getattr(param, "rich_help_panel", None) or panel or _OTHERS
                groups.setdefault(panel, []).append(record)
        for panel, records in groups.items():
            with formatter.section(panel):
                formatter.write_dl(records)
