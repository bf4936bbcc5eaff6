"""What test.json has on a test that depends on its options and on nothing else."""

from __future__ import annotations

from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.generators.validate import GeneratorError
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.options import TestOptions, nodes_dial


def facts(options: TestOptions) -> JsonObject:
    """Of test.json, all that checkers need: what depends on the options and on nothing else."""
    workload, target = options.workload, options.target
    described = {
        "target": target.name,
        "target_options": dict(options.target_options),
        "workload": workload.name,
        "workload_options": dict(options.tuning),
        "nemesis": list(options.nemesis),
        "nodes": list(options.nodes),
        **target.describe(),
        "time_limit": options.time_limit,
        "rate": options.rate,
        "concurrency": options.concurrency,
        "drivers": options.drivers,
        "keys": options.keys,
        "seed": options.seed,
        "checkers": list(workload.checkers),
        **_promises(options),
        "links": options.links,
        "clocks": options.clocks,
        "world": options.world,
    }
    if target.links is not None:
        described["dialling"] = nodes_dial(target)
    if "dumps" in target.able and "placements" not in target.able:
        described["replicas"] = "all"
    if options.lacks:
        described["lacks"] = options.lacks
    if options.model is not None:
        described |= {"model": options.model, "model_options": {}}
    return described


def _promises(options: TestOptions) -> JsonObject:
    """Those of the workload. Raises UsageError where it is a user's own, and wrong."""
    try:
        return options.workload.promises(options.tuning)
    except GeneratorError as wrong:
        raise UsageError(f"--workload: {wrong}") from wrong
