"""A schedule: one whole test in virtual time, as a value.

Its operations are those that the workload draws from the seed, or are given one by one: only
then can one of them be left out without another becoming a different one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Generator
from dynamesis.harness.generators.given import Given, given
from dynamesis.harness.nemesis import Event, FaultTimeline
from dynamesis.harness.worlds.options import TestOptions, plan_test, with_faults
from dynamesis.harness.worlds.test_spec import TestSpec


@dataclass(frozen=True)
class SimulatedSchedule:
    """One test.

    spec: target, workload, cluster and load; its seed is that of the world
    faults: all operations of the nemesis
    tweaks: fields of harness.worlds.simulated.run.Tweaks that are not the default
    operations: None: as the workload draws them
    """

    spec: TestSpec
    faults: tuple[Event, ...] = ()
    tweaks: JsonObject = field(default_factory=dict)
    operations: tuple[Given, ...] | None = None

    @classmethod
    def planned(
        cls,
        spec: TestSpec,
        plan: TestOptions,
        faults: tuple[Event, ...],
        tweaks: JsonObject,
        operations: tuple[Given, ...] | None = None,
    ) -> SimulatedSchedule:
        """The schedule of a spec without faults that was planned already. Raises UsageError."""
        schedule = cls(spec, faults, tweaks, operations)
        schedule.__dict__["options"] = with_faults(plan, faults)  # where cached_property looks
        return schedule

    def __getstate__(self) -> JsonObject:
        """Without what is planned, which holds functions."""
        return {name: value for name, value in vars(self).items() if name != "options"}

    @cached_property
    def options(self) -> TestOptions:
        """The test as it is planned. Raises UsageError where it makes no sense."""
        planned = plan_test(replace(self.spec, nemesis=("none",), schedule=None))
        return with_faults(planned, self.faults)

    @property
    def load(self) -> Generator | None:
        """The given operations and the faults; None where the workload draws its own."""
        if self.operations is None:
            return None
        clients = gen.clients(given(self.operations))
        return gen.time_limit(self.spec.time_limit, gen.any(clients, FaultTimeline(self.faults)))

    @property
    def fault_count(self) -> int:
        """How many faults there are."""
        return len({event.action.number for event in self.faults})
