"""The files of a target: Python, YAML and Markdown, made from the answers of a user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dynamesis.harness.init.templates import Answers, HttpRequest, Request, literal, string

#: the longest line that is written, which formatters leave as it is
_WIDTH = 88
#: the longest line that linters take with usual settings
_LONGEST = 100
_NEMESES = ("cut", "kill", "pause")


def files(name: str, answers: Answers) -> dict[str, str]:
    """The text of each file by its name, for a store of this name."""
    faults = [fault for fault in _NEMESES if answers.clustered or fault != "cut"]
    together = ",".join(faults)
    return {
        "target.py": "\n".join(_target(name, answers)) + "\n",
        f"test_{name}.py": _TEST.format(name=name, faults=", ".join(f'"{f}.one"' for f in faults)),
        "campaign.yaml": _CAMPAIGN.format(
            name=name, nemesis=", ".join(["none", *faults, f'"{together}"'])
        ),
        "README.md": _README.format(name=name, nemesis=together, tests=4 * (len(faults) + 2)),
    }


def _target(name: str, answers: Answers) -> Iterator[str]:
    yield f'"""How to start a node of {name}, and how to read and write."""'
    yield from ["\nfrom pathlib import Path"] * answers.here
    yield _IMPORTS
    yield from ["HERE = Path(__file__).parent"] * answers.here
    yield from _constant("START", answers.start.text)
    yield from _perform(answers)
    yield _VALUE
    yield from _class(name, answers)


def _constant(name: str, text: str) -> Iterator[str]:
    """A string on one line, or where that were too long on several."""
    line = f"{name} = {string(text)}"
    if len(line) <= _LONGEST:
        yield line
        return
    yield f"{name} = ("
    for begin in range(0, len(text), _WIDTH - 12):
        yield f"    {string(text[begin : begin + _WIDTH - 12])}"
    yield ")"


def _perform(answers: Answers) -> Iterator[str]:
    yield _CLIENT
    yield from _answer(answers.read, " " * 12)
    yield _READ_BY_HTTP if isinstance(answers.read, HttpRequest) else _READ_BY_SHELL
    yield from _answer(answers.write, " " * 8)
    yield _WRITE_BY_HTTP if isinstance(answers.write, HttpRequest) else _WRITE_BY_SHELL


def _answer(request: Request, indent: str) -> Iterator[str]:
    if not isinstance(request, HttpRequest):
        yield from _call(f"{indent}code, text = self.shell(", [literal(request.text)])
        return
    parts = [literal(request.path), literal(request.body)]
    arguments = [f'"{request.method}"', *(parts if request.body else parts[:1])]
    yield from _call(f"{indent}status, text = self.http(", arguments)


def _call(before: str, items: Sequence[str]) -> Iterator[str]:
    """A call on one line, or with an argument on each."""
    line = f"{before}{', '.join(items)})"
    if len(line) <= _WIDTH:
        yield line
        return
    indent = " " * (len(before) - len(before.lstrip()))
    yield before
    # a formatter with longer lines would join a single argument again
    comma = "," if len(items) > 1 or len(line) <= _LONGEST else ""
    yield from (f"{indent}    {item}{comma}" for item in items)
    yield f"{indent})"


def _class(name: str, answers: Answers) -> Iterator[str]:
    yield f'\n\nclass Store(Target):\n    name = "{name}"\n    workloads = ("read-write",)'
    yield from ['    ports = ("client", "peer")'] * answers.peer_port
    if answers.clustered:
        yield '    links = "pairs"  # a node is given an address for each other one'
    else:
        yield "    nodes = 1  # no node is given the address of another"
    more = ", here=HERE" if "{here}" in answers.start.text else ""
    yield "\n    def command(self, node: NodeSite, site: Site) -> Command:"
    yield f"        return Command.line(START, node, site{more})"
    yield "\n    def client(self, site: Site) -> StoreClient:\n        return StoreClient()"


_IMPORTS = """
from dynamesis import Op, Target
from dynamesis.targets import Command, NodeClient, NodeSite, Site, fail, ok, unknown
"""

_CLIENT = """

class StoreClient(NodeClient):
    def perform(self, op: Op) -> Op:
        if op.f == "read":"""

_READ_BY_HTTP = """\
            if status in (200, 404):  # 404: nothing was written yet
                return ok(op, value_of(text) if status == 200 else None)
            return fail(op, f"http-{status}", text)"""

_READ_BY_SHELL = """\
            if code == 0:
                return ok(op, value_of(text))
            return fail(op, f"exit-{code}", text)"""

_WRITE_BY_HTTP = """\
        if 200 <= status < 300:
            return ok(op)
        if 400 <= status < 500:  # refused: certainly not written
            return fail(op, f"http-{status}", text)
        return unknown(op, f"http-{status}", text)  # it may be written"""

_WRITE_BY_SHELL = """\
        if code == 0:
            return ok(op)
        return unknown(op, f"exit-{code}", text)  # it may be written"""

_VALUE = '''

def value_of(text: str) -> int | None:
    """What a read found: the integer that was written, or None. Edit as it needs."""
    return int(text) if text.strip() not in ("", "null") else None'''

_TEST = '''\
"""Run by pytest: {name} must keep what it acknowledged while it is broken."""

from pathlib import Path

from dynamesis import Verdict, run_test

HERE = Path(__file__).parent


def test_{name}_keeps_what_it_acknowledged() -> None:
    result = run_test(
        target=f"{{HERE / 'target.py'}}:Store",
        nemesis=[{faults}],
        time_limit=10,
        store=HERE / "store",
    )
    assert result.verdict is Verdict.VALID, result.explain()
'''

_CAMPAIGN = """\
name: {name}
matrix:
  workload: read-write
  nemesis: [{nemesis}]
  config: {{name: {name}, target: "target.py:Store"}}
  seed: [1, 2, 3, 4]
"""

_README = """\
# {name}, broken by Dynamesis
- target.py is how it is started, read and written; edit it where your store answers otherwise
- `pytest` runs test_{name}.py; results are in store/, `dynamesis serve` shows them
- `dynamesis test --target target.py:Store --nemesis {nemesis}` is one test
- `dynamesis campaign campaign.yaml` is {tests} tests
"""
