"""Pure, seeded generators of operations. Meant to be imported as a whole:
`from dynamesis.harness import generators as gen`, then `gen.limit(10, gen.mix(rng, a, b))`."""

from dynamesis.harness.generators.base import (
    PENDING,
    Context,
    Generator,
    Pending,
    Step,
    Thread,
    assign,
)
from dynamesis.harness.generators.counting import (
    cycle,
    flip_flop,
    limit,
    mix,
    once,
    process_limit,
    repeat,
    until_ok,
)
from dynamesis.harness.generators.rng import Rng
from dynamesis.harness.generators.sources import Source, concat, draw, invoke, lift, log
from dynamesis.harness.generators.threads import (
    any,
    clients,
    each_process,
    each_thread,
    nemesis,
    on_threads,
    phases,
    reserve,
    synchronize,
    then,
)
from dynamesis.harness.generators.timing import (
    cycle_times,
    delay,
    rate,
    sleep,
    stagger,
    time_limit,
)
from dynamesis.harness.generators.transform import f_map, filter, map, trace
from dynamesis.harness.generators.validate import GeneratorError, friendly_exceptions, validate

__all__ = [
    "PENDING",
    "Context",
    "Generator",
    "GeneratorError",
    "Pending",
    "Rng",
    "Source",
    "Step",
    "Thread",
    "any",
    "assign",
    "clients",
    "concat",
    "cycle",
    "cycle_times",
    "delay",
    "draw",
    "each_process",
    "each_thread",
    "f_map",
    "filter",
    "flip_flop",
    "friendly_exceptions",
    "invoke",
    "lift",
    "limit",
    "log",
    "map",
    "mix",
    "nemesis",
    "on_threads",
    "once",
    "phases",
    "process_limit",
    "rate",
    "repeat",
    "reserve",
    "sleep",
    "stagger",
    "synchronize",
    "then",
    "time_limit",
    "trace",
    "until_ok",
    "validate",
]
