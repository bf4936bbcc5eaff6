"""The versions of an anomaly and which covers which: a causal graph, time downwards.

One column a client or replica. A write is a box, a read a rounded one with what it showed. An
arrow from a write to a read: shown there. From a read or a write to a write: written on the
context that it gave, and so the later version replaces the earlier one. The version that is
missing, or that should not be there, is red, and so is the read that proves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dynamesis.checkers.explain.describe import name
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.history.codes import DYNAMO
from dynamesis.checkers.history.pairing import FAIL, INVOKE, OK
from dynamesis.harness.report.pictures.edges import BOX, COLUMN, GUTTER, ROW, Line, draw_edges
from dynamesis.harness.report.pictures.instants import clock_of
from dynamesis.harness.report.pictures.svg import Drawing, short, wrapped

if TYPE_CHECKING:
    from networkx import DiGraph

#: versions and reads that are drawn, the others left out; pixels of a line of the legend
WRITES, READS, LINE = 10, 6, 15
_LEGEND = (
    "arrow to a read: shown there; to a write: in its context, so replaced; "
    "numbers: index in the history"
)

#: data of an anomaly that names versions; the one that is missing, or that is wrongly there
_NAMED = ("id", "replaced_by", "upper", "lower", "missing")
_MISSING = {"lost-write": "id", "lost-item": "id"}
_WRONG = {
    "resurrection": "id", "false-sibling": "lower", "aborted-read": "id", "altered-value": "id",
    "crossed-key": "id", "duplicate-sibling": "id", "future-read": "id",
}  # fmt: skip


@dataclass
class Scene:
    """What is drawn. Writes are versions by number, reads rows of completions."""

    c: Causality
    #: whether the versions in `bad` should not have been shown, and not: should have been
    wrong: bool = False
    bad: set[int] = field(default_factory=set)
    writes: list[int] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    #: the reads that the proof cites
    cited: list[int] = field(default_factory=list)
    #: by version: the nodes from which it took a copy of the one that is lost
    takers: dict[int, list[str]] = field(default_factory=dict)

    def want(self, versions: Iterable[int]) -> None:
        """Adds versions as far as there is room."""
        for version in versions:
            if version >= 0 and version not in self.writes and len(self.writes) < WRITES:
                self.writes.append(version)

    def read(self, row: int) -> None:
        """Adds a read as far as there is room."""
        if row not in self.reads and len(self.reads) < READS:
            self.reads.append(row)


def causal_picture(c: Causality, anomaly: Mapping[str, Any]) -> Drawing | None:
    """The picture of an anomaly; None where it is not about versions."""
    scene = _scene(c, anomaly)
    if not scene.reads and (not scene.bad or len(scene.writes) < 2):
        return None
    graph = _graph(scene)
    return _draw(scene, graph, str(anomaly["name"]))


def _scene(c: Causality, anomaly: Mapping[str, Any]) -> Scene:
    h, scene = c.history, Scene(c, anomaly["name"] in _WRONG)
    data = anomaly.get("data") or {}
    ids = {id: i for i, id in enumerate(h.ids)}

    def version(id: object) -> int:
        number = ids.get(str(id), -1)
        return int(c.of_id[number]) if 0 <= number < len(c.of_id) else -1

    named = {part: version(data[part]) for part in _NAMED if part in data}
    lacking = data.get("lacking")
    lacked = [version(id) for id in lacking] if isinstance(lacking, dict) else []
    bad = named.get((_WRONG | _MISSING).get(str(anomaly["name"]), "missing"), -1)
    scene.bad = {v for v in (bad, *lacked) if v >= 0}
    scene.want([*named.values(), *lacked])
    copies = data.get("copies")  # of a place without copy: the names of the nodes that have one
    for node, copy in copies.items() if isinstance(copies, Mapping) else ():
        taken = (copy or {}).get("next") or {}
        if (taker := version(taken.get("request"))) >= 0:
            scene.takers.setdefault(taker, []).append(str(node))
    scene.want([*scene.takers][:3])
    for row in anomaly["ops"]:
        _cite(scene, int(row))
    _surround(scene)
    return scene


def _cite(scene: Scene, row: int) -> None:
    """Adds an event of the proof: a write with its version, a read with what it showed."""
    c = scene.c
    h = c.history
    if not 0 <= row < len(h) or h.process[row] == -2 or h.fs[h.f[row]] not in DYNAMO:
        return
    if h.fs[h.f[row]] in ("put", "delete") and h.id[row] >= 0:
        scene.want([int(c.of_id[h.id[row]])])
    elif h.kind[row] == OK and h.shown[row]:
        scene.read(row)
        scene.cited.append(row)


def _surround(scene: Scene) -> None:
    """Adds what joins the versions: the contexts on which the wrong one was written, what was
    written upon it, the path from what a read showed, and what it showed."""
    c = scene.c
    for version in list(scene.bad):
        scene.want(c.parents_of(version)[:2])
        shown = [row for row in scene.reads if version in c.sibling[c.owner == row]]
        if not shown:
            scene.want(_upon(c, version)[:2])
    for row in scene.reads:
        shown = c.sibling[c.owner == row]
        for version in [int(v) for v in shown if v >= 0][:3]:
            scene.want([version])
            for bad in list(scene.bad):
                scene.want(c.path(version, bad)[:4])
    for version in list(scene.writes):
        basis = int(c.history.basis[c.written[version]])
        drawn = any(parent in scene.writes for parent in c.parents_of(version))
        if basis >= 0 and c.history.shown[basis] and drawn:
            scene.read(basis)


def _upon(c: Causality, version: int) -> list[int]:
    """The versions whose context names this one."""
    places = (c.parents == version).nonzero()[0]
    return [int(v) for v in c.parent_start.searchsorted(places, side="right") - 1]


def _graph(scene: Scene) -> DiGraph:
    """Writes ("w", version) and reads ("r", row); each edge has `why` and `bad`."""
    from networkx import DiGraph

    c, h = scene.c, scene.c.history
    graph = DiGraph()
    for version in scene.writes:
        row = int(c.written[version])
        graph.add_node(("w", version), at=row, actor=_actor(scene, row))
    for row in scene.reads:
        graph.add_node(("r", row), at=row, actor=_actor(scene, row))
        shown = {int(v) for v in c.sibling[c.owner == row]}
        # a version of another key, which a read should not show, is not among its siblings
        named = {s.id for s in h.siblings(row)}
        for version in scene.writes:
            there = version in shown or (scene.wrong and name(c, version) in named)
            if there and c.written[version] < row:
                wrong = scene.wrong and version in scene.bad
                graph.add_edge(("w", version), ("r", row), bad=wrong)
    for version in scene.writes:
        basis = int(h.basis[c.written[version]])
        if basis in scene.reads:
            graph.add_edge(("r", basis), ("w", version), bad=False)
        else:
            for parent in c.parents_of(version):
                if parent in scene.writes:
                    graph.add_edge(("w", parent), ("w", version), bad=False)
    return graph


def _actor(scene: Scene, row: int) -> str:
    """The column: the replica that a dump is of, else the client."""
    h = scene.c.history
    begun = row if h.kind[row] == INVOKE else int(h.pair[row])
    if begun >= 0 and h.replica[begun] >= 0:
        return f"replica {h.nodes[h.replica[begun]]}"
    return f"process {h.name_of(int(h.process[row]))}"


def _draw(scene: Scene, graph: DiGraph, title: str) -> Drawing:
    from networkx import lexicographical_topological_sort

    order = list(lexicographical_topological_sort(graph, key=lambda n: graph.nodes[n]["at"]))
    actor_of = {node: graph.nodes[node]["actor"] for node in order}
    columns = {actor: i for i, actor in enumerate(dict.fromkeys(actor_of.values()))}
    place = {
        node: (GUTTER + COLUMN * columns[actor_of[node]] + COLUMN / 2, 40 + ROW * i + 26)
        for i, node in enumerate(order)
    }
    width = GUTTER + COLUMN * max(len(columns), 2)
    words = wrapped(_LEGEND, width - 8)
    bottom = 40 + ROW * len(order)
    height = bottom + 6 + LINE * len(words)
    spell = clock_of(scene.c.history, [graph.nodes[node]["at"] for node in order])
    drawing = Drawing(f"{title}: versions and which covers which, time downwards", width, height)
    for actor, i in columns.items():
        x = GUTTER + COLUMN * i + COLUMN / 2
        drawing.text(x, 16, short(actor, 24), "bold", "middle")
        drawing.line(x, 24, x, bottom - 4)
    lines = [(a, b, bool(edge["bad"]), False) for a, b, edge in graph.edges(data=True)]
    draw_edges(drawing, place, [*lines, *_lacks(scene, place)])
    for n, line in enumerate(words):
        drawing.text(4, bottom + LINE * (n + 1), line, "soft")
    proof = _proof(scene)
    for node in order:
        drawing.text(4, place[node][1] + 4, spell(graph.nodes[node]["at"]), "soft")
        _node(drawing, scene, node, place[node], node[0] == "r" and node[1] in proof)
    return drawing


def _lacks(scene: Scene, place: Mapping[Any, tuple[float, float]]) -> list[Line]:
    """A dashed red line from what is missing to each read of the proof that lacks it."""
    c = scene.c
    found: list[Line] = []
    for row in () if scene.wrong else scene.reads:
        shown = {int(v) for v in c.sibling[c.owner == row]}
        dump = c.history.fs[c.history.f[row]] == "dump"
        if row != max(scene.reads) and not dump:
            continue
        for version in sorted(scene.bad - shown):
            a, b = ("w", version), ("r", row)
            if a in place and b in place and c.ended[version] < row:
                found.append((a, b, True, True))
    return found


def _proof(scene: Scene) -> set[int]:
    """The reads that prove it: the dumps that lack what is missing, else the last that is cited."""
    c = scene.c
    dumps = [row for row in scene.cited if c.history.fs[c.history.f[row]] == "dump"]
    lacking = {row for row in dumps if scene.bad - {int(v) for v in c.sibling[c.owner == row]}}
    return lacking if lacking and not scene.wrong else {max(scene.cited, default=-1)}


def _node(
    drawing: Drawing, scene: Scene, node: tuple[str, int], at: tuple[float, float], proof: bool
) -> None:
    (x, y), (what, number) = at, node
    lines = _write_lines(scene, number) if what == "w" else _read_lines(scene, number)
    bad = what == "w" and number in scene.bad
    cls = "box bad" if bad or proof else "box"
    left, top, width = x - COLUMN / 2 + 10, y - BOX / 2, COLUMN - 20
    drawing.rect(left, top, width, BOX, cls, radius=4 if what == "w" else 22, hint=" ".join(lines))
    drawing.text(x, y - 5, short(lines[0], 25), "bad" if bad else "bold", "middle")
    drawing.text(x, y + 13, short(lines[1], 27), "soft", "middle")


def _write_lines(scene: Scene, version: int) -> tuple[str, str]:
    c, h = scene.c, scene.c.history
    row = int(c.written[version])
    verb = "delete" if c.deletes[version] else "put"
    taken = scene.takers.get(version)
    value = "" if c.deletes[version] else f" = {short(h.spelled(h.value_of(row)), 14)}"
    outcome = c.outcome[version]
    if taken and version not in scene.bad:
        fate = f"took its place on {', '.join(taken)}"
    elif outcome == OK:
        end = int(c.ended[version])
        node = f" by {short(h.nodes[h.node[end]], 12)}" if h.node[end] >= 0 else ""
        fate = f"acknowledged{node}, {end}"
    else:
        fate = f"refused, {row}" if outcome == FAIL else f"outcome unknown, {row}"
    return f"{verb} {short(name(c, version), 12)}{value}", fate


def _read_lines(scene: Scene, row: int) -> tuple[str, str]:
    h = scene.c.history
    shown = [f"{s.id}{' (deleted)' if s.deleted else ''}" for s in h.siblings(row)[:4]]
    verb = h.fs[h.f[row]]
    what = verb if verb in ("get", "dump") else f"answer of the {verb}"
    return f"{what}, {row}", f"shows {', '.join(short(s, 14) for s in shown) or 'nothing'}"
