"""The experiments by name; one line each."""

from __future__ import annotations

from dynamesis.harness.experiments import (
    client_driven,
    divergence,
    load_balance,
    staleness,
    write_buffer,
)
from dynamesis.harness.experiments.base import Experiment

EXPERIMENTS = {
    each.name: each
    for each in (
        Experiment(
            "client-driven",
            "latency of clients that keep a map and of clients that ask any node",
            "6.4, table 2",
            client_driven.run,
        ),
        Experiment(
            "write-buffer",
            "latency of writes acknowledged from memory, and what a crash then loses",
            "6.1, figure 5",
            write_buffer.run,
        ),
        Experiment(
            "load-balance",
            "how evenly the three partitioning strategies spread load",
            "6.2, figures 6 and 8",
            load_balance.run,
        ),
        Experiment(
            "divergence",
            "how many versions reads of carts see, by concurrent writers and by faults",
            "6.3",
            divergence.run,
        ),
        Experiment(
            "staleness",
            "how fresh reads are with R=W=1, beside the models of PBS",
            "4.5",
            staleness.run,
        ),
    )
}
