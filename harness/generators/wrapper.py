"""What most combinators share: they hold one generator and pass it every event."""

from __future__ import annotations

from typing import Any

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.base import Context, Generator, Step


class Wrapper(msgspec.Struct, frozen=True):
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
            return msgspec.structs.replace(self, gen=after, **changes)
        return self if after is self.gen else msgspec.structs.replace(self, gen=after)
