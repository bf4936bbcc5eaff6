"""Which failures are one bug, and which are not.

A failure shows anomalies, each with a proof in words. Two runs of one bug differ in keys, nodes,
times, versions and in how often it shows; the proofs without all these are the same. So a symptom
is an anomaly with its *evidence*: the first clause of the proof, with a `#` for each such detail,
and, of what was lost, by what the replicas came to lack it.

The *principal* anomaly of a failure is the first that its results name, which is also the first
that the report reads aloud; others often follow from it. A failure is a known bug when a symptom of
its principal anomaly is among the symptoms of that bug. Those of a bug are the ones of its
principal anomaly in the run that found it, and all that its own smallest schedule has shown;
another bug that happened to show in the same long run is not taken for part of it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dynamesis.harness.report.spoken import first_sentence
from dynamesis.harness.report.summary import described

#: where a proof has what took a lost version from its replicas, by the nodes' logs
_TAKEN = re.compile(r"(?:was taken from|its key was touched next on) ((?:[^.]|\.(?! ))*)")
_BY = re.compile(r"\bby ([a-z-]+)")

#: characters that are kept of an evidence
_LONG = 160
#: and of a proof
_LONGEST = 300
_DETAIL = "#"

#: what is replaced, in this order; each is one kind of detail that differs from run to run
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        # an exit code is what a crash is known by; all else in parentheses is detail
        (r"\((?!exit code)[^()]*\)", ""),
        (r'"[^"]*"', _DETAIL),
        (r"\{[^{}]*\}|\[[^][]*\]", _DETAIL),
        # the same wrong record shows in whatever looks first
        (r"\b[Tt]he (?:merge of the )?(?:get|dump) of (?:process \d+|\w+)", "a read"),
        (r"\bprocess \d+", f"process {_DETAIL}"),
        # names of versions, of writes as nodes stamp them, times and numbers
        (r"\b\w+:[0-9a-f]+:\d+:\d+", _DETAIL),
        (r"(?<![\w.-])(?<!exit code )-?\d+(?:\.\d+)*(?: m?s\b)?(?![\w])", _DETAIL),
        # names that end in a number: nodes, keys, n1-n2
        (r"\b[A-Za-z]+\d+(?:-[A-Za-z]+\d+)*\b", _DETAIL),
        (r"\b(?:of|to) key \w+", f"of {_DETAIL}"),
        (r"\bput .+ into cart \w+", f"put {_DETAIL} into a cart"),
        (r"\bholds .+, which\b", f"holds {_DETAIL}, which"),
        (r"\b(showed|held|with) (?:nothing|a tombstone)", rf"\1 {_DETAIL}"),
        # a list of details is one
        (rf"{_DETAIL}(?:(?:,| and|, and| \||\|) ?{_DETAIL})+", _DETAIL),
        (rf"(, [a-z ]+ {_DETAIL})\1+", r"\1"),
        (r"\s+", " "),
        (r"\s+([,:;.])", r"\1"),
    )
)


@dataclass(frozen=True, order=True)
class Symptom:
    """An anomaly and the evidence for it."""

    anomaly: str
    evidence: str


@dataclass(frozen=True)
class Fingerprint:
    """What one failure shows. `anomalies` by name, the principal one first; `symptoms` of all of
    them; `first`: the symptom of the principal anomaly that shows most often."""

    anomalies: tuple[str, ...]
    symptoms: frozenset[Symptom]
    first: Symptom

    @property
    def principal(self) -> frozenset[Symptom]:
        """The symptoms of the principal anomaly."""
        return frozenset(each for each in self.symptoms if each.anomaly == self.anomalies[0])

    @property
    def name(self) -> str:
        """A name for the bug, that of its file: the anomaly, and a hash of the evidence."""
        text = f"{self.first.anomaly}\n{self.first.evidence}"
        return f"{self.anomalies[0]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def known_by(self, symptoms: Iterable[Symptom]) -> bool:
        """Whether this failure is the bug that has these symptoms."""
        return not self.principal.isdisjoint(symptoms)


def fingerprint(results: Mapping[str, Any]) -> Fingerprint:
    """The fingerprint of a test that was invalid, from its results.json."""
    anomalies = tuple(results["anomalies"])
    shown = Counter(
        Symptom(each["name"], text)
        for each in described(results)
        for text in evidences(each["why"])
    )
    for name in anomalies:  # one that no checker has described is known by its name alone
        if not any(each.anomaly == name for each in shown):
            shown[Symptom(name, "")] = 1
    principal = [each for each in shown if each.anomaly == anomalies[0]]
    first = min(principal, key=lambda each: (-shown[each], each.evidence))
    return Fingerprint(anomalies, frozenset(shown), first)


def proof(results: Mapping[str, Any], shown: Fingerprint) -> str:
    """The first sentence of the proof of the principal anomaly; empty where there is none."""
    why = [each["why"] for each in described(results) if each["name"] == shown.anomalies[0]]
    return first_sentence(why[0])[:_LONGEST] if why else ""


def evidences(why: str) -> list[str]:
    """The evidence of a proof, once for each way in which replicas came to lack what was lost."""
    taken = _TAKEN.search(why)
    ways = sorted(set(_BY.findall(taken[1]))) if taken else []
    return [f"{evidence(why)}; taken by {way}" for way in ways] or [evidence(why)]


def evidence(why: str) -> str:
    """The first clause of a proof, without what differs from run to run."""
    text = first_sentence(why).rstrip(".").partition(";")[0]
    for pattern, by in _RULES:
        text = pattern.sub(by, text)
    return text[:_LONG].strip()
