"""The elements of which every picture is made.

A picture is text; what comes from a history is escaped and shortened here and nowhere else.
Colours are CSS classes: inside the page its light and dark variables apply, and a file of its
own (`standalone`) carries the same variables with it. Lengths are in pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from dynamesis.harness.text.printable import printable

#: pixels that a character of the pictures' type takes, at most
CHARACTER = 6.7
#: after Okabe and Ito, darkened or lightened until text in it has a contrast of 4.5 to 1
LIGHT = {
    "ink": "#1c2126", "soft": "#55606c", "line": "#c3cad2", "paper": "#ffffff", "box": "#f2f4f7",
    "ok": "#0068a3", "fail": "#b24a00", "info": "#7d5fb0", "open": "#6b6f76",
    "bad": "#b3261e", "good": "#00704f", "band": "#e69f00",
}  # fmt: skip
DARK = {
    "ink": "#e8ecf0", "soft": "#a9b4bf", "line": "#48525d", "paper": "#14181c", "box": "#20272e",
    "ok": "#63b8f0", "fail": "#f0954a", "info": "#bda2ec", "open": "#a5abb3",
    "bad": "#ff8a80", "good": "#4fc99f", "band": "#e6b450",
}  # fmt: skip
RULES = """\
.pic text{font:12px ui-sans-serif,system-ui,sans-serif;fill:var(--ink)}
.pic .soft{fill:var(--soft)}.pic .bold{font-weight:600}
.pic .box{fill:var(--box);stroke:var(--soft)}.pic .rule{stroke:var(--line)}
.pic .line{stroke:var(--soft);fill:none;stroke-width:1.5}
.pic .head{fill:var(--soft)}.pic .badhead{fill:var(--bad)}
.pic .bad{stroke:var(--bad);stroke-width:2.5}
.pic .halo{paint-order:stroke;stroke:var(--paper);stroke-width:5;stroke-linejoin:round}
.pic text.bad{fill:var(--bad);font-weight:600}.pic text.bad:not(.halo){stroke:none}
.pic text.bad.halo{stroke:var(--paper);stroke-width:5}
.pic .badline{stroke:var(--bad);fill:none;stroke-width:2}.pic .dash{stroke-dasharray:5 4}
.pic .ok{fill:var(--ok)}.pic .fail{fill:var(--fail)}.pic .info{fill:var(--info)}
.pic .open{fill:var(--open)}.pic .good{fill:var(--good)}.pic .badfill{fill:var(--bad)}
.pic .band{fill:var(--band);fill-opacity:.22}.pic .badband{fill:var(--bad);fill-opacity:.16}
.pic .hollow{fill:var(--paper);stroke-width:2}
.pic .hollow.good{stroke:var(--good);fill:var(--paper)}
.pic .hollow.badfill{stroke:var(--bad);fill:var(--paper)}
.pic .thin,.pic .thin[class]{stroke-width:1.5;fill:none}
.pic .thin.ok{stroke:var(--ok)}
.pic .thin.fail{stroke:var(--fail)}
.pic .thin.open{stroke:var(--open)}.pic .thin.ink{stroke:var(--ink)}
.pic .dots{stroke-dasharray:2 4}.pic .ring{fill:none;stroke:var(--bad);stroke-width:2}
.pic .possible{fill:var(--good);fill-opacity:.16;stroke:var(--good);stroke-width:1.5}
.pic .number{fill:var(--paper);font-size:10px;font-weight:600}
.pic .thin.info{stroke:var(--info)}.pic .thin.good{stroke:var(--good)}
"""

_SPACE = re.compile(r"\s+")


def short(text: object, most: int = 40) -> str:
    """Text on one line without control characters, cut to so many characters. Only the part
    that is shown is worked upon, however long the text is."""
    whole = text if isinstance(text, str) else str(text)
    line = _SPACE.sub(" ", printable(whole[: most * 2])).strip()
    return line if len(line) <= most and len(whole) <= most * 2 else line[: most - 1] + "\u2026"


def colours(palette: Mapping[str, str]) -> str:
    """A palette as CSS variables."""
    return ";".join(f"--{name}:{value}" for name, value in palette.items())


@dataclass
class Drawing:
    """A picture under way. `title` is what a screen reader reads out."""

    title: str
    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def add(self, element: str, text: object = None, **attributes: object) -> None:
        """An element; an attribute's underscore becomes a hyphen, `cls` is its class."""
        spelled = _attributes(attributes)
        inner = "" if text is None else escape(printable(str(text)), quote=False)
        self.parts.append(f"<{element}{spelled}>{inner}</{element}>")

    def text(self, x: float, y: float, text: object, cls: str = "", anchor: str = "start") -> None:
        """A line of text whose baseline begins (or is centred, or ends) there."""
        extra = {} if anchor == "start" else {"text_anchor": anchor}
        self.add("text", text, x=number(x), y=number(y), **({"cls": cls} if cls else {}), **extra)

    def rect(
        self, x: float, y: float, w: float, h: float, cls: str, radius: float = 3, hint: str = ""
    ) -> None:
        """A rectangle; `hint` appears when pointed at."""
        self._hinted("rect", hint, x=number(x), y=number(y), width=number(max(w, 1)),
                     height=number(h), rx=radius, cls=cls)  # fmt: skip

    def circle(self, x: float, y: float, r: float, cls: str, hint: str = "") -> None:
        """A disk; `hint` appears when pointed at."""
        self._hinted("circle", hint, cx=number(x), cy=number(y), r=number(r), cls=cls)

    def line(self, x: float, y: float, to_x: float, to_y: float, cls: str = "rule") -> None:
        """A straight line without a head."""
        self.add("line", x1=number(x), y1=number(y), x2=number(to_x), y2=number(to_y), cls=cls)

    def path(self, points: Sequence[tuple[float, float]], cls: str) -> None:
        """Straight lines from point to point."""
        if points:
            steps = " L".join(f"{number(x)},{number(y)}" for x, y in points)
            self.add("path", d=f"M{steps}", cls=cls)

    def arrow(
        self, start: tuple[float, float], end: tuple[float, float], bend: float, bad: bool = False,
        dashed: bool = False,
    ) -> None:  # fmt: skip
        """A curve with a head at its end; `bend` pixels beside the straight line."""
        (x, y), (to_x, to_y) = start, end
        control = ((x + to_x) / 2 + bend, (y + to_y) / 2)
        cls = ("badline" if bad else "line") + (" dash" if dashed else "")
        d = f"M{number(x)},{number(y)} Q{number(control[0])},{number(control[1])} "
        self.add("path", d=f"{d}{number(to_x)},{number(to_y)}", cls=cls)
        self._head(control, end, bad)

    def elbow(
        self, start: tuple[float, float], x: float, end: tuple[float, float], bad: bool = False,
        dashed: bool = False,
    ) -> None:  # fmt: skip
        """An arrow that goes sideways to `x`, down, and sideways to its end, with round corners."""
        (at, y), (to, to_y) = start, end
        out, back = (5 if x >= at else -5), (5 if to >= x else -5)
        cls = ("badline" if bad else "line") + (" dash" if dashed else "")
        n = number
        d = f"M{n(at)},{n(y)} H{n(x - out)} Q{n(x)},{n(y)} {n(x)},{n(y + 5)} V{n(to_y - 5)}"
        self.add("path", d=f"{d} Q{n(x)},{n(to_y)} {n(x + back)},{n(to_y)} H{n(to)}", cls=cls)
        self._head((x, to_y), end, bad)

    def _head(self, came: tuple[float, float], at: tuple[float, float], bad: bool) -> None:
        dx, dy = at[0] - came[0], at[1] - came[1]
        size = (dx * dx + dy * dy) ** 0.5 or 1.0
        ux, uy = dx / size * 9, dy / size * 9
        corners = (at, (at[0] - ux - uy / 2, at[1] - uy + ux / 2),
                   (at[0] - ux + uy / 2, at[1] - uy - ux / 2))  # fmt: skip
        points = " ".join(f"{number(x)},{number(y)}" for x, y in corners)
        self.add("polygon", points=points, cls="badhead" if bad else "head")

    def _hinted(self, element: str, hint: str, **attributes: object) -> None:
        if not hint:
            self.add(element, **attributes)
            return
        inner = f"<title>{escape(short(hint, 300), quote=False)}</title>"
        self.parts.append(f"<{element}{_attributes(attributes)}>{inner}</{element}>")

    def inline(self) -> str:
        """The picture as a part of a page that has RULES and the palettes' variables."""
        return self._svg("", "")

    def standalone(self) -> str:
        """The picture as a file of its own, light or dark as its reader prefers."""
        style = (
            f":root{{{colours(LIGHT)}}}@media(prefers-color-scheme:dark)"
            f"{{:root{{{colours(DARK)}}}}}.ground{{fill:var(--paper)}}\n{RULES}"
        )
        ground = '<rect width="100%" height="100%" class="ground"/>'
        return self._svg(f"<style>{style}</style>{ground}", ' xmlns="http://www.w3.org/2000/svg"')

    def _svg(self, before: str, namespace: str) -> str:
        w, h = number(self.width), number(self.height)
        title = escape(printable(self.title), quote=True)
        head = f'<svg{namespace} class="pic" viewBox="0 0 {w} {h}" width="{w}" height="{h}"'
        return f'{head} role="img" aria-label="{title}">{before}{"".join(self.parts)}</svg>\n'


def number(value: float) -> str:
    """A length to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def wrapped(text: str, width: float, lines: int = 3) -> list[str]:
    """Text broken into lines of at most `width` pixels; what needs more than `lines` is cut."""
    room = max(8, int(width / CHARACTER))
    found: list[str] = [""]
    for word in short(text, room * lines + room).split(" "):
        if found[-1] and len(found[-1]) + 1 + len(word) > room:
            found.append("")
        found[-1] = f"{found[-1]} {word}".strip()
    shown = [short(line, room) for line in found[:lines]]
    if len(found) > lines:
        shown[-1] = short(f"{shown[-1]} \u2026", room)
    return shown


def _attributes(given: Mapping[str, object]) -> str:
    names: Iterable[tuple[str, object]] = given.items()
    return "".join(
        f' {"class" if name == "cls" else name.replace("_", "-")}="{escape(str(value))}"'
        for name, value in names
    )
