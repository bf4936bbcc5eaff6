"""What single requests ask for: quorums and time-outs of their own, the siblings that a write
leaves, another try when one is in doubt, the way that they take.

A cluster's N, R and W are what a request gets that asks for nothing. Whatever it asks for
is in the history, as `options` of its invocation, and it is judged by that. Any script
can be made to ask: `asking` adds to a share of its operations what they ask for, and changes
nothing else about them.
"""

from __future__ import annotations

import math

import msgspec
from dynamesis.checkers.history.op import JsonObject, Op
from dynamesis.harness.generators import Rng
from dynamesis.workloads.script.script import Script
from dynamesis.workloads.script.settings import Load, Option

#: The options of an invocation that are sent to the nodes.
TO_NODES = ("n", "r", "w", "pr", "pw", "dw", "local", "timeout", "return_body")
#: ... and the client: RETRY, one of SAME and OTHER, DIRECT, and HEDGE.
RETRY, SAME, OTHER, DIRECT, HEDGE = "retry", "same", "other", "direct", "hedge"
#: s; the shortest and the longest time-out that a request asks for
_HASTY, _PATIENT = 0.002, 1.0
#: how likely a request with quorums of its own asks for fewer than all primaries
_FEWER = 0.25

_MEANINGS = {
    "quorums": (
        "share of operations that ask for quorums of their own: n, r, w, pr, pw, dw, in zones local"
    ),
    "timeouts": "share of operations that give the nodes 2 ms to 1 s to answer",
    "bodies": "share of writes that ask for all that is there after them (return_body)",
    "retries": "share of writes that are sent again, under one id, as long as they are in doubt",
    "hedges": "share of writes that are sent twice, under one id, the second time immediately",
    "direct": "share of operations for which the client itself looks for a primary",
}

#: The options of every workload.
REQUEST_OPTIONS = {name: Option(0.0, (0.0, 1.0), meaning) for name, meaning in _MEANINGS.items()}


class Asking(msgspec.Struct, frozen=True):
    """A script whose operations ask for more. `n`: primaries of a key; `fewer`: whether fewer
    of them may be asked; `durable`: whether copies on a disk may be asked for; `local`: how many
    answers of one zone may be."""

    script: Script
    rng: Rng
    shares: dict[str, float]
    n: int
    fewer: bool
    durable: bool
    local: int = 0

    def next(self, process: int, last: Op | None, now: int = 0) -> tuple[Op, Script] | None:
        """The operation of the script itself, and what it asks for."""
        step = self.script.next(process, last, now)
        if step is None:
            return None
        op, script = step
        options, rng = self._options(op.f != "get")
        asked = msgspec.structs.replace(op, options={**(op.options or {}), **options} or None)
        return asked, msgspec.structs.replace(self, script=script, rng=rng)

    def _options(self, write: bool) -> tuple[JsonObject, Rng]:
        chosen, rng = set(), self.rng
        for name, share in self.shares.items():
            yes, rng = rng.chance(share)
            if yes:
                chosen.add(name)
        options: JsonObject = {}
        if "quorums" in chosen:
            options, rng = self._quorums(rng, write)
        if "timeouts" in chosen:
            magnitude, rng = rng.uniform(math.log(_HASTY), math.log(_PATIENT))
            options["timeout"] = round(math.exp(magnitude), 3)
        if "bodies" in chosen and write:
            options["return_body"] = True
        if "retries" in chosen and write:
            options[RETRY], rng = rng.choice((SAME, OTHER))
        if "hedges" in chosen and write:
            options[HEDGE] = True
        if "direct" in chosen:
            options[DIRECT] = True
        return options, rng

    def _quorums(self, rng: Rng, write: bool) -> tuple[JsonObject, Rng]:
        """One number or more, each of those that there can be as likely as the others."""
        options: JsonObject = {}
        n = self.n
        fewer, rng = rng.chance(_FEWER if self.fewer else 0.0)
        if fewer:
            n, rng = rng.between(1, self.n)
            options["n"] = n
        names = (("w", "pw", "dw") if self.durable else ("w", "pw")) if write else ("r", "pr")
        count, rng = rng.between(1, len(names))
        chosen, rng = rng.sample(names, count)
        for name in chosen:
            options[name], rng = rng.between(1, n)
        if self.local and "n" not in options:
            near, rng = rng.between(0, self.local)
            options |= {"local": near} if near else {}
        return options, rng


def asking(script: Script, load: Load) -> Script:
    """The script, whose operations ask for what the options of the load define."""
    shares = {name: load.number(name) for name in _MEANINGS if name in load.options}
    if not any(shares.values()):
        return script
    setting = load.setting
    rng = load.rng.split("requests")
    return Asking(script, rng, shares, setting.n, setting.compares, setting.durable, setting.local)
