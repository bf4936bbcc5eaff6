"""Which bugs a zoo is about: those of the table, and some of a user's own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dynamesis.cluster.plugins.objects import absolute, is_file_name
from dynamesis.cluster.zoo import BUGS, resolve
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import one_of
from dynamesis.harness.zoo.plan import Specimen


def chosen(only: str | None, blind: bool) -> list[Specimen]:
    """The bugs that `--only` names, by comma; all of the table without it. `blind`: whether the
    hunt knows nothing of a bug, as it must not where that is FILE.py:NAME, for which no test is
    known. Raises UsageError."""
    words = [word.strip() for word in only.split(",")] if only is not None else list(BUGS)
    found = [_own(word, blind) if is_file_name(word) else _listed(word) for word in words]
    return _distinct(found)


def _listed(word: str) -> Specimen:
    name = one_of("--only", word, BUGS)
    bug = BUGS[name]
    return Specimen(name, bug.mechanism, bug.workload, bug.nemesis, bug.anomalies, bug.options)


def _own(spec: str, blind: bool) -> Specimen:
    """FILE.py:NAME, named by the file's name and what its documentation begins with."""
    planted = absolute(spec)
    try:
        bug = resolve(planted)
    except ValueError as unknown:
        raise UsageError(f"--only: {unknown}") from unknown
    if not blind:
        raise UsageError(
            f"--only: which test suits {spec} is not known; add --storm or --simulate, or run "
            f"dynamesis test --bug {spec} with a workload and a nemesis"
        )
    file, _, name = planted.rpartition(":")
    label = f"{Path(file).name}:{name}".replace(" ", "_")
    mechanism = " ".join((bug.__doc__ or name).split("\n\n")[0].split())
    return Specimen(label, mechanism, "", "", (), planted=planted)


def _distinct(specimens: Iterable[Specimen]) -> list[Specimen]:
    """Each bug once. Raises UsageError for two of one name."""
    found: dict[str, Specimen] = {}
    for each in specimens:
        if found.setdefault(each.name, each) != each:
            raise UsageError(
                f"--only: {found[each.name].bug} and {each.bug} would both be called {each.name}; "
                "rename a file"
            )
    return list(found.values())
