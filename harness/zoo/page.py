"""The zoo in words: a line for each test that ends, and the summary in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dynamesis.harness.campaign.journal import CellRun
from dynamesis.harness.report.summary import STYLES
from dynamesis.harness.report.words import counted
from rich.text import Text

ZooResults = Mapping[str, Any]

_GOOD, _BAD, _OPEN = STYLES["valid"], STYLES["invalid"], STYLES["unknown"]


def ended(run: CellRun) -> Text:
    """The line of a test that has ended: what is good news for it, is bad for a pair."""
    workload, nemesis, config, seed = run.cell.split("/")
    clean = config.split(" ")[0] == "clean"
    style = {"valid": _GOOD, "invalid": _BAD} if clean else {"valid": _BAD, "invalid": _GOOD}
    text = Text(f"{run.verdict:8}", style.get(run.verdict, _OPEN))
    text.append(f"{run.seconds:6.1f} s  {config:24} seed {seed}  {workload}, {nemesis}", "default")
    found = ", ".join(f"{name} ({count})" for name, count in run.anomalies.items())
    if run.verdict != "valid":
        text.append(f"  {found or ''.join(run.why[:1])}", "dim")
    return text


def markdown(results: ZooResults) -> str:
    """Bug by bug: caught or not, by what, how soon; then what escaped, the false alarms, and
    the first proof of each."""
    return "\n".join([*_head(results), *_table(results), *_escaped(results), *_alarms(results),
                      *_proofs(results)]) + "\n"  # fmt: skip


def _head(results: ZooResults) -> Iterator[str]:
    bugs, clean = results["bugs"], results["clean"]
    caught = sum(bug["caught"] for bug in bugs)
    valid = sum(test["verdict"] == "valid" for test in clean)
    stopped = ", interrupted" if results["interrupted"] else ""
    yield f"# The zoo, {results['mode']}: {caught} of {len(bugs)} caught{stopped}"
    yield ""
    yield (
        f"{counted(len(clean), 'clean pair')}: {counted(results['false_alarms'], 'false alarm')}, "
        f"{valid} valid. {counted(sum(bug['tried'] for bug in bugs), 'test')} of bugs with "
        f"{results['time_limit']} of load each, in {results['seconds'] / 60:.1f} min; "
        f"begun {results['start']}."
    )
    yield f"Again: `{results['command']}`"


def _table(results: ZooResults) -> Iterator[str]:
    yield ""
    yield "| bug | what is wrong | under | caught | by | median s | worst s |"
    yield "|---|---|---|---|---|---|---|"
    for bug in results["bugs"]:
        under = ", ".join((bug["workload"], bug["nemesis"], *bug["options"]))
        by = ", ".join(bug["anomalies"]) or "nothing"
        times = [bug["median"] or "", bug["worst"] or ""]
        cells = [bug["name"], bug["mechanism"], under, _caught(results, bug), by, *times]
        yield "| " + " | ".join(map(str, cells)) + " |"


def _caught(results: ZooResults, bug: Mapping[str, Any]) -> str:
    word = "yes" if bug["caught"] else "no"
    if results["mode"] == "storm":
        return f"{word}, {counted(bug['tried'], 'test')}"
    return f"{word}, {bug['catches']} of {counted(bug['tried'], 'seed')}"


def _escaped(results: ZooResults) -> Iterator[str]:
    yield from ("", "## Escaped", "")
    escaped = [bug for bug in results["bugs"] if not bug["caught"]]
    for bug in escaped:
        yield f"- `{bug['name']}` ({bug['mechanism']}), expected: {_expected(bug)}"
        for test in bug["tests"]:
            yield f"  - seed {test['seed']}: {_outcome(test)}: `{test['command']}`"
    if not escaped:
        yield "none"


def _expected(bug: Mapping[str, Any]) -> str:
    return ", ".join(bug["expected"]) or "any anomaly"


def _outcome(test: Mapping[str, Any]) -> str:
    found = ", ".join(test["anomalies"]) or "".join(test["why"][:1])
    return f"{test['verdict']} after {test['seconds']} s{': ' if found else ''}{found}"


def _alarms(results: ZooResults) -> Iterator[str]:
    yield from ("", "## False alarms", "")
    bad = [test for test in results["clean"] if test["verdict"] in ("invalid", "error")]
    for test in bad:
        yield f"- {_outcome(test)}: `{test['command']}`"
        yield from (f"  - {why}" for why in test["why"])
    if not bad:
        yield "none"


def _proofs(results: ZooResults) -> Iterator[str]:
    yield from ("", "## Proof of each", "")
    for bug in results["bugs"]:
        test = next((test for test in bug["tests"] if test["verdict"] == "invalid"), None)
        if test is not None:
            yield f"- `{bug['name']}`, in `{test['folder']}`"
            yield from (f"  - {why}" for why in test["why"])
