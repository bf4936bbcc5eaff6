"""What a simulated world cannot do, refused before anything starts."""

from __future__ import annotations

from dynamesis.harness.targets.dynamo.target import DynamoTarget
from dynamesis.harness.targets.target import Target
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.test_spec import TestSpec

#: the world that has everything
_OTHER = TestSpec.flags()["world"].default
#: what cannot be done with an option: field -> what is wrong with it
_NOT_SIMULATED = {
    "tls": "nothing is encrypted in a simulated world",
    "drivers": "a simulated world is one process",
    "target_version": "a simulated world has nodes of one version",
    "port_base": "a simulated world has no ports",
    "links": "a simulated world has links of its own",
    "clocks": "clocks of a simulated world are in it",
}

#: methods of target dynamo whose work a simulated world does itself: it never calls those of a
#: subclass.
_OF_PROCESSES = ("build", "client")


def must_be_simulable(spec: TestSpec, target: Target) -> None:
    """Raises UsageError for what only processes can do."""
    if not isinstance(target, DynamoTarget):
        raise UsageError(
            f"--world: target {target.name} cannot be simulated; allowed with it: {_OTHER}"
        )
    for method in _OF_PROCESSES:
        if getattr(type(target), method) is not getattr(DynamoTarget, method):
            raise UsageError(
                f"--world: target {target.name} has a method {method} of its own, which no "
                f"simulated world calls; allowed with it: {_OTHER}"
            )
    for name, flag in spec.flags().items():
        allowed_too = (flag.default, "embedded") if name == "links" else (flag.default,)
        if name in _NOT_SIMULATED and getattr(spec, name) not in allowed_too:
            raise UsageError(f"{flag.option}: {_NOT_SIMULATED[name]}; leave it out")
