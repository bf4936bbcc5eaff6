"""`dynamesis experiment`: the paper's experiments, beside the paper's figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def run(
    name: Annotated[
        str, Argument(help="Which one; `dynamesis experiment list` shows them.", metavar="NAME")
    ],
    json: Annotated[Path | None, Option(help="Write the figures here, as JSON.")] = None,
    plot: Annotated[Path | None, Option(help="Draw the figures here, as SVG.")] = None,
    seed: Annotated[int, Option(help="What is drawn is drawn from it.", min=0)] = 1,
    effort: Annotated[
        float, Option(help="How much is done: 1 is as documented, 0.1 a quick look.")
    ] = 1.0,
) -> int:
    """Repeat an experiment of the Dynamo paper.

    Its figures are shown beside the paper's.
    """
    import json as form
    import sys

    from dynamesis.harness.experiments.base import Scale
    from dynamesis.harness.experiments.shown import as_plot, as_text
    from dynamesis.harness.experiments.table import EXPERIMENTS
    from dynamesis.harness.usage.exits import VALID, UsageError
    from dynamesis.harness.usage.values import one_of, writable_files, write_files

    if name == "list":
        for each in EXPERIMENTS.values():
            print(f"{each.name:16}{each.about} (section {each.section})")
        return VALID
    experiment = EXPERIMENTS[one_of("NAME", name, EXPERIMENTS)]
    if not 0 < effort <= 100:
        raise UsageError(f"--effort: {effort:g} is out of range; allowed: above 0, to 100")
    writable_files(("--json", json), ("--plot", plot))
    scale = Scale(seed, effort)
    found = experiment.run(scale, lambda line: print(line, file=sys.stderr, flush=True))
    print(as_text(experiment, found))
    text = form.dumps(experiment.to_dict(scale, found), indent=2) + "\n"
    drawn = "" if plot is None else as_plot(experiment, found.plot).standalone()
    write_files(("--json", json, text), ("--plot", plot, drawn))
    return VALID
