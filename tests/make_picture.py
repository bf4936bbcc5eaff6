"""Makes the picture of the README from what a test printed.

    dynamesis test --workload cart --nemesis none --bug self-merge --time-limit 5s --seed 7 \\
        | tee output.txt
    python tests/make_picture.py output.txt docs/failing-test.svg

The last line of the output, the command that repeats the test, becomes the prompt.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

WIDTH = 104
STYLES = {
    r"^\$ .*": "bold",
    r"^invalid": "bold red",
    r"^valid": "bold green",
    r"^  [a-z-]+: \d+$": "red",
    r"^(folder|again)\b": "cyan",
    r"^(seed|boot|load|heal|quiesce|final|stop) .*": "dim",
    r"\b(index \d+|\d+\.\d{3} s)\b": "yellow",
}


def draw(output: str) -> str:
    """`output` as SVG, which loads nothing from elsewhere."""
    lines = output.splitlines()
    lines.insert(0, "$ " + lines[-1].removeprefix("again").strip())
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    for line in lines:
        text = Text(line)
        for pattern, style in STYLES.items():
            text.highlight_regex(pattern, style)
        indent = len(line) - len(line.lstrip())
        for row in text[indent:].wrap(console, WIDTH - indent):
            console.print(Text(" " * indent) + row)
    svg = console.export_svg(title="dynamesis test", theme=MONOKAI)
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(draw(source.read_text("utf-8")), encoding="utf-8")
