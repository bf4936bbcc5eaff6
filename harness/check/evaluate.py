"""From a history to a verdict, its files and its exit code."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dynamesis.checkers.evidence.figures import figures, is_run
from dynamesis.checkers.formats.io import Format, read_any
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.gc_pause import gc_frozen, gc_paused
from dynamesis.checkers.history.history import History, HistoryError
from dynamesis.checkers.history.source import STDIN
from dynamesis.checkers.logs.logs import Logs
from dynamesis.checkers.logs.situations import count_situations
from dynamesis.checkers.measure.repairs import repairs
from dynamesis.checkers.models.explain import touches, with_touches
from dynamesis.checkers.models.log_checkers import check_logs
from dynamesis.checkers.models.models import ModelOptions, judge_run
from dynamesis.checkers.verdict import CheckerResult, Results, Verdict
from dynamesis.harness.check.outside_model import judge_by, outside_model
from dynamesis.harness.report.junit import junit
from dynamesis.harness.report.nodelog import all_events, nodes_of
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.parts import StillRuns, merge
from dynamesis.harness.results.results import (
    HISTORY,
    JUNIT,
    NODES,
    REPORT,
    RESULTS,
    TEST,
    Folder,
    write_whole,
)
from dynamesis.harness.results.test_metadata import BadTest, load_test
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import one_of
from dynamesis.workloads import WORKLOADS, Workload
from dynamesis.workloads.check_workload import check_workload
from dynamesis.workloads.outside import outside
from dynamesis.workloads.plain.languages import EVERY

log = logging.getLogger(__name__)

#: Events of a history, from which on it is cheaper to have the garbage collector pass over it.
_MANY = 20_000
#: Events of a history, up to which the collector does not look while it is judged: it would find
#: next to nothing, and go through all that is there beside, as in a swarm that simulates.
_FEW = 5_000


@dataclass(frozen=True)
class ModelChoice:
    """What to judge by instead of the checkers that the test names."""

    name: str
    options: ModelOptions

    @classmethod
    def of(cls, flag: str, name: str, options: ModelOptions) -> ModelChoice:
        """Raises UsageError for a model that is nowhere, and for options that it does not take."""
        try:
            own = outside_model(name)
        except ValueError as wrong:
            raise UsageError(f"{flag}: {wrong}") from wrong
        if own is not None and options != ModelOptions():
            raise UsageError(
                f"{flag} {name}: a model of your own takes no options; they are of the models that "
                "come with dynamesis"
            )
        return cls(name, options)


def judge(
    history: Path,
    test: Mapping[str, Any],
    model: ModelChoice | None = None,
    fmt: Format | None = None,
) -> JsonObject:
    """The content of results.json. Without a model, the checkers that `test` names, and its
    workload's own, judge. Raises UsageError for a history that cannot be judged."""
    return judge_history(read(history, fmt), test, model)


def judge_history(
    history: History,
    test: Mapping[str, Any],
    model: ModelChoice | None = None,
    logs: Logs | None = None,
    workload: Workload | None = None,
) -> JsonObject:
    """As `judge`, for a history that was read already, and the nodes' `logs`, if they were: else
    they are looked for beside it, as the `workload` is by the spec of `test`. Raises UsageError
    for options of the model that make no sense."""
    with ExitStack() as judging:
        with gc_paused():
            logs = _logs(history, test) if logs is None else logs
            if len(history) >= _MANY:
                judging.enter_context(gc_frozen())
        if len(history) < _FEW:
            judging.enter_context(gc_paused())
        return _judged(Run(history, test), model, logs, workload)


def _judged(
    run: Run, model: ModelChoice | None, logs: Logs | None, workload: Workload | None
) -> JsonObject:
    test = run.test or {}
    found = evaluate(run, model, logs, workload)
    measured = found.verdicts.get("stats")
    stats = {} if measured is None else dict(measured.details)
    repaired = _repaired(run, logs)
    if repaired is not None:
        stats["repaired"] = repaired
    reached = _situations(logs)
    if reached is not None:
        stats["situations"] = reached
    identity = {name: test.get(name) for name in ("seed", "command")}
    skipped = left_out(test)
    return {
        **found.to_dict(),
        "stats": stats,
        "evidence": run.once(figures),
        **({"skipped": skipped} if skipped else {}),
        **identity,
    }


#: What is not judged, or done otherwise, without a capability of the target.
_WITHOUT = {
    "dumps": "what replicas hold was not compared",
    "placements": "no quorum and no place of a copy was judged",
    "quiet": "quiescence was a wait of a fixed time",
    "cuts": "no link between its nodes was cut",
    "status": "what nodes report of themselves was not judged",
    "wipe": "no data folder was wiped",
    "disks": "no disk failed",
    "clocks": "no clock was wrong",
    "membership": "no node joined or left",
    "load": "no load was added",
    "frames": "no frames were lost, doubled or reordered",
}


def left_out(test: Mapping[str, Any]) -> dict[str, str]:
    """By capability that the target of a test lacks, what was left out of the test."""
    lacks = test.get("lacks")
    if not isinstance(lacks, dict):
        return {}
    return {name: _WITHOUT.get(name, f"no {name} faults") for name in lacks}


def check(history: History | Path | str, *, model: str | None = None, **options: Any) -> Results:
    """Judge a history: a History, a file of one, or the folder of a test. Without a model, the
    checkers that its test.json names judge, and its workload's own; with one, that model does,
    and `options` are those of checkers.models.models.ModelOptions. Raises UsageError for a
    history or options that cannot be used."""
    choice = None if model is None else ModelChoice.of("model", model, _options(options))
    if choice is None and options:
        raise UsageError(f"{', '.join(options)}: options of a model; give model= too")
    test: JsonObject = {}
    if not isinstance(history, History):
        folder, file = locate(Path(history))
        test = stored_test(folder) if folder else {}
        history = read(file)
    return evaluate(Run(history, test), choice, _logs(history, test))


def evaluate(
    run: Run,
    model: ModelChoice | None,
    logs: Logs | None,
    workload: Workload | None = None,
) -> Results:
    """The results of all checkers, explained by the nodes' logs where there are any. `workload`: as
    of judge_history. Raises UsageError for options of the model that make no sense."""
    test = run.test or {}
    name = str(test.get("model", "")) if model is None else model.name
    try:
        own = outside_model(name) if name else None
        if workload is None and model is None:
            workload = _own_workload(test)
    except ValueError as wrong:
        raise UsageError(f"--model: {wrong}" if model is not None else str(wrong)) from wrong
    if own is not None:
        return _explained(run, judge_by(own, name, run), logs)
    if model is not None:
        try:
            options = replace(model.options, test=run.test or None)
            found = judge_run(model.name, run, options)
        except ValueError as senseless:
            raise UsageError(f"--model {model.name}: {senseless}") from senseless
        return _explained(run, found, logs)
    found = check_workload(run, workload)
    if "history" not in found.verdicts:
        found = Results({**found.verdicts, **_by_logs(run, logs)})
    return _explained(run, found, logs)


def _by_logs(run: Run, logs: Logs | None) -> Mapping[str, CheckerResult]:
    """The verdicts that rest on the nodes' event logs. A test of `dynamo` always has some: where
    they are gone from its folder, what only they show is not known."""
    if logs is not None:
        return check_logs(run, logs).verdicts
    test, path = run.test or {}, Path(run.history.path)
    if not is_run(test) or test.get("target") != "dynamo" or path.name != HISTORY:
        return {}
    reason = f"no node has an event log below {path.parent / NODES}, where a test keeps them"
    return {"logs": CheckerResult(Verdict.UNKNOWN, reasons=(reason,))}


def _own_workload(test: Mapping[str, Any]) -> Workload | None:
    """The workload of a test, if it is of a user's own, be it a file's or a package's. Raises
    ValueError where its file is not there any more."""
    spec = test.get("spec")
    name = str(spec.get("workload", "")) if isinstance(spec, dict) else ""
    return None if not name or name in WORKLOADS or name in EVERY else outside(name)


def stored_test(folder: Folder) -> JsonObject:
    """The content of test.json. Raises UsageError with file, field and what was expected."""
    try:
        return load_test(folder)
    except BadTest as bad:
        raise UsageError(str(bad)) from bad


def _options(given: Mapping[str, Any]) -> ModelOptions:
    known = ModelOptions.__dataclass_fields__
    named: JsonObject = {}
    for name, value in given.items():
        named[one_of("option", name, known)] = tuple(value) if isinstance(value, list) else value
    return ModelOptions(**named)


def _logs(history: History, test: Mapping[str, Any]) -> Logs | None:
    """The nodes' event logs, where the history is in the folder of a test that has some."""
    path = Path(history.path)
    found = nodes_of(path.parent) if path.name == HISTORY else {}
    try:
        with gc_paused():
            return Logs.of(all_events(found), test.get("began")) if found else None
    except OSError:
        log.exception("the nodes' logs cannot be read")
        return None


def _explained(run: Run, found: Results, logs: Logs | None) -> Results:
    """The anomalies with what the nodes did with their keys. Logs only explain a
    verdict: an error in them costs no more than the explanation."""
    if not found.anomalies or logs is None:
        return found
    try:
        return with_touches(found, touches(logs, found, run))
    except Exception:
        log.exception("the nodes' logs explain nothing")
        return found


def _repaired(run: Run, logs: Logs | None) -> JsonObject | None:
    """What repaired the keys after the heal, if the logs can be laid beside the history."""
    if logs is None or logs.began is None:
        return None
    try:
        return repairs(run, logs.events, logs.began)
    except Exception:
        log.exception("the nodes' logs show no repairs")
        return None


def _situations(logs: Logs | None) -> dict[str, int] | None:
    """How often the nodes reached each situation, if they logged anything."""
    if logs is None:
        return None
    try:
        return count_situations(logs)
    except Exception:
        log.exception("the nodes' logs show no situations")
        return None


def read(path: Path, fmt: Format | None = None) -> History:
    """A history in any format. Raises UsageError with file, line, field and what was expected."""
    try:
        return read_any(path, fmt)
    except HistoryError as malformed:
        raise UsageError(str(malformed)) from malformed
    except OSError as unreadable:
        raise UsageError(f"{path}: {unreadable.strerror}; name a file or folder to read") from (
            unreadable
        )


def save(folder: Folder, results: Mapping[str, Any], also: Path | None = None) -> None:
    """Write the results first, and then what only shows them: a page that cannot be drawn
    costs no verdict. `also` is a second place for the JUnit XML. Raises OSError where the disk
    does not take one of them."""
    folder.save_json(RESULTS, results)
    xml = junit(folder.load_json(TEST), results)
    folder.save(JUNIT, xml)
    if also is not None:
        write_whole(also, xml)
    from dynamesis.harness.report.page import page  # a tenth of a second, for the page alone

    try:
        folder.save(REPORT, page(folder))
    except OSError:
        raise
    except Exception:
        log.exception("no report")


def _merge_parts(history: Path) -> None:
    """Parts of a history that are left where the harness was killed. Raises UsageError while the
    test still runs, and where there is no space for the whole."""
    try:
        merge(history)
    except (StillRuns, OSError) as failure:
        raise UsageError(
            f"{history.parent}: {failure}; judge it when it can be merged"
        ) from failure


def locate(path: Path) -> tuple[Folder | None, Path]:
    """The test folder (None for a lone file) and the history of `path`; "-" is
    standard input."""
    if str(path) in STDIN:
        return None, path
    if path.is_dir():
        history = path / HISTORY
        if not history.is_file():
            raise UsageError(f"{path}: no {HISTORY} in this folder; give the folder of a test")
        _merge_parts(history)
        return Folder(path), history
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; give the folder of a test, or a history")
    beside = path.parent / TEST
    return (Folder(path.parent) if path.name == HISTORY and beside.is_file() else None), path
