"""Lines that commands print: broken at words on a terminal, whole elsewhere, never obeyed."""

from __future__ import annotations

import io
from typing import Any

import pytest
from dynamesis.harness.run.progress_view import Mode, console
from dynamesis.harness.text.console import LineConsole
from dynamesis.harness.usage.output import print_text
from rich.text import Text

COMMAND = "again   dynamesis test --workload register --nemesis cut,kill --seed 7 --time-limit 60s"
PROSE = "skipped   cell one: the target dynamo has no leases, and so this workload cannot be run"
ROW = "| ctx-only-increment | yes | 1.07 | false-sibling, lost-write, divergence | 3 | 0 | 3 |"
FIGURES = "load      16.4 s, 23.7 s left     43 op/s   ok 1139  fail 20  info 3   faults: none"


def printed(*texts: str | Text, terminal: bool = True, width: int = 60, **options: Any) -> str:
    shown = LineConsole(
        file=io.StringIO(), force_terminal=terminal, width=width, color_system=None, **options
    )
    for text in texts:
        shown.print(text)
    assert isinstance(shown.file, io.StringIO)
    return shown.file.getvalue()


@pytest.mark.parametrize("width", [30, 60, 80, 120])
@pytest.mark.parametrize("text", [PROSE, FIGURES, ROW, "  - " + "some words and more " * 12])
def test_a_line_is_broken_at_words(text: str, width: int) -> None:
    lines = printed(text, width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert " ".join(lines).split() == text.split()


def test_figures_stay_with_their_names() -> None:
    shown = printed(FIGURES, width=40)
    assert all(part in shown for part in ("ok 1139", "fail 20", "info 3", "faults: none"))


@pytest.mark.parametrize(
    "text",
    [
        COMMAND,
        f"  `{COMMAND[8:]}`",
        "stopped; judge it with: dynamesis check " + "/a/long/folder" * 8,
        "folder  " + "/a/long/folder" * 8,
        "x" * 200,
    ],
)
def test_what_is_to_be_copied_is_one_line(text: str) -> None:
    assert printed(text) == f"{text}\n"


def test_into_a_file_each_line_is_one() -> None:
    assert printed(PROSE, FIGURES, terminal=False) == f"{PROSE}\n{FIGURES}\n"


def test_lines_of_a_text_are_broken_one_by_one() -> None:
    shown = printed(f"{PROSE}\n\n{COMMAND}\n")
    assert shown.endswith(f"\n\n{COMMAND}\n\n")


def test_styles_stay_with_their_words() -> None:
    text = Text("invalid ", "bold").append("some words " * 10, "dim")
    shown = LineConsole(file=io.StringIO(), force_terminal=True, width=40, color_system="standard")
    shown.print(text)
    assert isinstance(shown.file, io.StringIO)
    lines = shown.file.getvalue().splitlines()
    assert len(lines) > 2
    assert all("2m" in line for line in lines)


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("odd", ["\x1b]0;x\x07", "\x9b31m", "\r", "\u202e", "\x00", "\ud800"])
def test_a_terminal_gets_nothing_to_obey(odd: str, terminal: bool) -> None:
    for text in (f"cell {odd} one", Text(f"cell {odd} one", "bold")):
        shown = printed(text, terminal=terminal)
        assert odd not in shown
        assert shown.startswith("cell ")


def test_markup_is_text() -> None:
    assert printed("[bold]x[/bold] :smile:") == "[bold]x[/bold] :smile:\n"


def test_every_command_prints_by_it() -> None:
    assert isinstance(console(Mode.AUTO), LineConsole)
    assert console(Mode.PLAIN).color_system is None


def test_values_are_printed_as_they_are_unless_to_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_text("a\x1b[31m")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    print_text("a\x1b[31m")
    assert capsys.readouterr().out == "a\x1b[31m\na\\x1b[31m\n"
