"""What most combinators share: they hold one generator and pass it every event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.base import Context, Generator, Step
from dynamesis.harness.generators.successor import successor


@dataclass(frozen=True)
class Wrapper:
    """Holds `gen`; exhausted when that is. Subclasses define in `op` what they change."""

    gen: Generator

    def op(self, ctx: Context) -> Step:
        step = self.gen.op(ctx)
        return None if step is None else (step[0], self.around(step[1]))

    def update(self, ctx: Context, event: Op) -> Generator | None:
        return self.around(self.gen.update(ctx, event))

    def around(self, after: Generator | None, **changes: Any) -> Generator | None:
        """This wrapper with `after` inside, and other changes; None around None."""
        if after is None:
            return None
        if changes:
            return successor(self, gen=after, **changes)
        if after is self.gen:
            return self
        made = object.__new__(type(self))  # a successor in fewer steps: most steps end here
        made.__dict__.update(self.__dict__)
        made.__dict__["gen"] = after
        return made
