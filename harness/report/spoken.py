"""A verdict of invalid in three lines that one can read aloud.

What was broken and how often; the first case of it, in a sentence; what that rests on. Indices,
states of replicas and the rest of each proof come below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dynamesis.harness.report.pictures.svg import short
from dynamesis.harness.report.words import counted, share, times

#: anomalies that are named, and characters of a sentence
_NAMED, _LONG = 3, 230
_REFERENCE = re.compile(r" \(index \d+\)| at index \d+")
#: what may get a capital: a sentence may begin with a key too, and that stays as it is spelled
_ARTICLE = re.compile(
    r"^(?:the|an|no|every|both|each|of|without|after|index(?= \d)|process|key(?= '))(?= )"
)
_SENTENCE = re.compile(r"(?<=[^.\s])\.(?=\s|$)")
#: a sentence that only gives the operations of a cycle their names
_NAMES = re.compile(r"T1 is the [^.]* at index \d+\.(?: +)(?=\S)")


def spoken(results: Mapping[str, Any]) -> Iterator[str]:
    """The lines, without the word of the verdict; fewer where the results do not have as much."""
    counts: Mapping[str, int] = results["anomalies"]
    named = [f"{name} {times(count)}" for name, count in list(counts.items())[:_NAMED]]
    others = len(counts) - len(named)
    more = f", and {others} other kinds" if others > 1 else ", and one other kind" if others else ""
    yield f"the store broke its promises: {', '.join(named)}{more}."
    if why := _first(results, next(iter(counts), "")):
        yield first_sentence(why)
    if figures := results.get("evidence"):
        yield rests(figures)


def first_sentence(why: str) -> str:
    """The first sentence of a proof, without references to lines of the history."""
    shown = _NAMES.sub("", why[: 4 * _LONG], count=1)
    text = short(_REFERENCE.sub("", shown), 4 * _LONG)
    text = _SENTENCE.split(text, maxsplit=1)[0]
    clipped = text if len(text) <= _LONG else text[:_LONG].rpartition(" ")[0] + " \u2026"
    return _ARTICLE.sub(lambda first: first[0].capitalize(), clipped) + "." * (clipped == text)


def lead(why: str) -> tuple[str, str]:
    """A proof as its first sentence and the others; of a cycle the names of its operations come
    after it."""
    names = _NAMES.match(why)
    if names is not None:
        return why[names.end() :], names[0].strip()
    parts = _SENTENCE.split(why, maxsplit=1)
    first = _ARTICLE.sub(lambda article: article[0].capitalize(), parts[0])
    return (f"{first}.", parts[1].strip()) if len(parts) > 1 else (first, "")


def rests(figures: Mapping[str, Any]) -> str:
    """What a verdict rests on, in a sentence."""
    shown = share(figures["acknowledged"], figures["tried"], "operation", "acknowledged")
    if faults := figures["faults"]:
        took = sum(fault["took_effect"] is True for fault in faults)
        shown += f", {took} of {counted(len(faults), 'fault')} took effect"
    if (final := figures["final_reads"])["asked"]:
        shown += f", {share(final['answered'], final['asked'], 'final read', 'answered')}"
    return f"{shown}."


def _first(results: Mapping[str, Any], name: str) -> str:
    """The first proof of an anomaly, else of any."""
    found = [each for c in results["checkers"].values() for each in c.get("anomalies", ())]
    same = (each["why"] for each in found if each["name"] == name)
    return next(same, found[0]["why"] if found else "")
