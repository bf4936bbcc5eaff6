"""The rooms of the package, lowest first: each imports only from those that it names.

One table, read by tests/test_imports.py; the one in docs/architecture.md is what
`python tests/rooms.py` prints.
"""

from __future__ import annotations

#: room -> (what it is for, the rooms that it imports from). A module directly in a
#: package, such as checkers.verdict, belongs to the room of that package.
ROOMS: dict[str, tuple[str, tuple[str, ...]]] = {
    # ---- checkers: a history goes in, a verdict comes out
    "checkers": ("verdicts", ()),
    "checkers.history": ("events, columns, pairing, the rules of a history; counts in words", ()),
    "checkers.formats": ("JSON Lines, JSON and EDN, read and written", ("checkers.history",)),
    "checkers.graph": ("runs, causal order, and cycles", ("checkers.history",)),
    "checkers.explain": (
        "operations and versions in words",
        ("checkers.graph", "checkers.history"),
    ),
    "checkers.elle": (
        "transactions: list-append, rw-register, consistency models",
        ("checkers", "checkers.explain", "checkers.graph", "checkers.history"),
    ),
    "checkers.linearizability": (
        "the search for an order that respects real time",
        ("checkers.graph",),
    ),
    "checkers.evidence": (
        "what a verdict rests on",
        ("checkers", "checkers.explain", "checkers.graph", "checkers.history"),
    ),
    "checkers.dynamo": (
        "what a Dynamo store may not do",
        (
            *("checkers", "checkers.evidence", "checkers.explain"),
            *("checkers.graph", "checkers.history"),
        ),
    ),
    "checkers.measure": (
        "what is measured and not judged",
        ("checkers", "checkers.dynamo", "checkers.graph", "checkers.history"),
    ),
    "checkers.logs": (
        "what the nodes' event logs prove",
        (
            *("checkers", "checkers.dynamo", "checkers.explain"),
            *("checkers.graph", "checkers.history"),
        ),
    ),
    "checkers.models": (
        "every model by name",
        (
            *("checkers", "checkers.dynamo", "checkers.elle", "checkers.evidence"),
            *("checkers.explain", "checkers.graph", "checkers.history", "checkers.linearizability"),
            *("checkers.logs", "checkers.measure"),
        ),
    ),
    "checkers.simulate": (
        "histories of correct stores, for tests and benchmarks",
        ("checkers.history", "checkers.models"),
    ),
    # ---- cluster.core: the node as a value
    "cluster.core": ("nothing but rooms", ()),
    "cluster.core.protocol": ("messages, events, effects, parameters, errors", ()),
    "cluster.core.runtime": (
        "timers, calls, statistics, randomness, admission",
        ("cluster.core.protocol",),
    ),
    "cluster.core.versions": (
        "clocks, contexts, the names of versions",
        ("cluster.core.protocol", "cluster.core.runtime"),
    ),
    "cluster.core.ring": (
        "the ring, claims, preference lists, the sloppy quorum",
        ("cluster.core.protocol", "cluster.core.runtime"),
    ),
    "cluster.core.storage": (
        "records, the write buffer, hash trees",
        ("cluster.core.protocol", "cluster.core.runtime", "cluster.core.versions"),
    ),
    "cluster.core.membership": (
        "members, gossip, failure detection, joins and leaves",
        (
            *("cluster.core.protocol", "cluster.core.ring"),
            *("cluster.core.runtime", "cluster.core.versions"),
        ),
    ),
    "cluster.core.replication": (
        "hints, anti-entropy, transfers, tombstones",
        (
            *("cluster.core.membership", "cluster.core.protocol", "cluster.core.ring"),
            *("cluster.core.runtime", "cluster.core.storage", "cluster.core.versions"),
        ),
    ),
    "cluster.core.requests": (
        "a put and a get, coordinated",
        (
            *("cluster.core.membership", "cluster.core.protocol", "cluster.core.replication"),
            *("cluster.core.ring", "cluster.core.runtime", "cluster.core.versions"),
        ),
    ),
    "cluster.core.node": (
        "the parts put together; events in, effects out",
        (
            *("cluster.core.membership", "cluster.core.protocol", "cluster.core.replication"),
            *("cluster.core.requests", "cluster.core.ring", "cluster.core.runtime"),
            *("cluster.core.storage", "cluster.core.versions"),
        ),
    ),
    # ---- cluster: the node as a process
    "cluster.storage": ("storage engines, and disks that fail", ("cluster.core.protocol",)),
    "cluster.config": (
        "a node's configuration and certificates",
        ("cluster.core.protocol", "cluster.core.ring", "cluster.storage"),
    ),
    "cluster.net": (
        "frames on TCP, links to peers",
        ("cluster.config", "cluster.core.protocol"),
    ),
    "cluster.client": (
        "the client library and the admin client",
        ("cluster.config", "cluster.core.protocol", "cluster.core.ring", "cluster.net"),
    ),
    "cluster.process": (
        "the process of a node, and the supervisor of several",
        (
            *("cluster.client", "cluster.config", "cluster.core.protocol"),
            *("cluster.core.runtime", "cluster.net", "cluster.storage"),
        ),
    ),
    "cluster.plugins": ("objects in files of users, FILE.py:NAME", ()),
    "cluster.zoo": (
        "planted bugs",
        (
            "cluster.plugins",
            *("cluster.core.membership", "cluster.core.node", "cluster.core.protocol"),
            *("cluster.core.replication", "cluster.core.requests", "cluster.core.ring"),
            *("cluster.core.runtime", "cluster.core.storage", "cluster.core.versions"),
        ),
    ),
    "cluster": (
        "`python -m dynamesis.cluster`: one node",
        (
            *("cluster.config", "cluster.core.node", "cluster.process"),
            *("cluster.storage", "cluster.zoo"),
        ),
    ),
    # ---- harness
    "harness.text": ("texts that are anything, as a terminal and a page may get them", ()),
    "harness.targets": (
        "stores under test: what a target is, and what can be done to it",
        # cluster.process: clocks that libfaketime makes wrong are so for any process
        ("checkers.history", "cluster.plugins", "cluster.process"),
    ),
    "harness.targets.adopted": (
        "a cluster that runs already, as a target",
        ("checkers.history", "harness.targets"),
    ),
    "harness.targets.etcd": ("etcd as a target", ("checkers.history", "harness.targets")),
    "harness.targets.redis": ("Redis as a target", ("checkers.history", "harness.targets")),
    "harness.processes": ("ports, watchdog, deadlines, signals", ("harness.targets",)),
    "harness.generators": ("schedules as pure values", ("checkers.history",)),
    "harness.results": (
        "the folder of a test",
        ("checkers.history", "checkers.models"),
    ),
    "harness.links": (
        "the network: Toxiproxy, embedded, direct",
        ("harness.processes", "harness.targets"),
    ),
    "harness.links.dialling": (
        "how nodes that are not ours reach the proxies of their pairs",
        ("harness.links", "harness.processes", "harness.targets"),
    ),
    "harness.nemesis": (
        "faults: drawn, injected, proved, healed",
        (
            *("checkers.dynamo", "checkers.history", "harness.generators", "harness.links"),
            *("harness.processes", "harness.results", "harness.targets"),
        ),
    ),
    "harness.run": (
        "one test from boot to stop",
        (
            *("checkers.dynamo", "checkers.history", "harness.generators", "harness.links"),
            *("harness.nemesis", "harness.processes", "harness.results", "harness.targets"),
            "harness.text",
        ),
    ),
    "harness.report.pictures": (
        "pictures of anomalies, as static SVG",
        (
            *("checkers", "checkers.dynamo", "checkers.explain", "checkers.graph"),
            *("checkers.history", "checkers.logs", "harness.results", "harness.text"),
        ),
    ),
    "harness.report.plots": (
        "what the plots over time are drawn from",
        (
            *("checkers.dynamo", "checkers.explain", "checkers.graph", "checkers.history"),
            *("checkers.logs", "checkers.measure", "harness.report.pictures", "harness.results"),
        ),
    ),
    "harness.report": (
        "pages, JUnit, the summary",
        (
            *("checkers.explain", "checkers.graph", "checkers.history", "checkers.logs"),
            *("harness.report.pictures", "harness.report.plots"),
            *("harness.results", "harness.targets", "harness.text"),
        ),
    ),
    "harness.serve": (
        "the store in a browser",
        (
            *("harness.report", "harness.report.pictures"),
            *("harness.results", "harness.targets"),
        ),
    ),
    "harness.usage": (
        "what users type, and how commands end",
        (
            *("checkers.formats", "checkers.history", "harness.processes"),
            *("harness.results", "harness.targets", "harness.text"),
        ),
    ),
    "harness.init": ("what `dynamesis init` asks and writes", ("harness.usage",)),
    # ---- workloads
    "workloads.script": (
        "what one client does, step by step",
        ("checkers.history", "harness.generators"),
    ),
    "workloads.client": (
        "the client side: requests and values",
        ("checkers.history", "cluster.client", "workloads.script"),
    ),
    "workloads": (
        "the workloads, a file each",
        (
            *("checkers", "checkers.dynamo", "checkers.elle", "checkers.evidence"),
            *("checkers.explain", "checkers.graph", "checkers.history", "checkers.measure"),
            *("checkers.models", "cluster.plugins", "harness.generators", "workloads.script"),
        ),
    ),
    "workloads.plain": (
        "the workloads for stores without contexts, a file each",
        ("checkers.history", "harness.generators", "workloads", "workloads.script"),
    ),
    # ---- harness, composed with workloads and cluster
    "harness.targets.dynamo": (
        "our own node as a target",
        (
            *("checkers.history", "cluster.config", "cluster.core.protocol"),
            *("cluster.core.runtime", "cluster.net", "cluster.plugins", "cluster.process"),
            *("cluster.storage", "cluster.zoo", "harness.nemesis", "harness.processes"),
            *("harness.targets", "harness.usage", "workloads", "workloads.client"),
            "workloads.plain",
        ),
    ),
    "harness.targets.maelstrom": (
        "programs that speak Maelstrom's protocol, as a target",
        ("checkers.history", "harness.links", "harness.targets", "harness.usage"),
    ),
    "harness.targets.cassandra": (
        "Apache Cassandra as a target",
        ("checkers.history", "harness.targets"),
    ),
    "harness.targets.pouchdb": (
        "PouchDB Server as a target",
        ("checkers.history", "harness.targets", "workloads.client"),
    ),
    "harness.check": (
        "from a history to a verdict and its files",
        (
            *("checkers", "checkers.evidence", "checkers.formats", "checkers.graph"),
            *("checkers.history", "checkers.logs", "checkers.measure", "checkers.models"),
            *("cluster.plugins", "harness.report", "harness.results", "harness.targets"),
            *("harness.text", "harness.usage", "workloads", "workloads.plain"),
        ),
    ),
    "harness.worlds": (
        "what a test runs in, built and taken down together",
        (
            *("checkers", "checkers.history", "checkers.models", "cluster.plugins"),
            *("cluster.storage", "harness.check", "harness.generators", "harness.links"),
            "harness.links.dialling",
            *("harness.nemesis", "harness.processes", "harness.report", "harness.results"),
            *("harness.run", "harness.targets", "harness.targets.dynamo", "harness.usage"),
            *("workloads", "workloads.plain", "workloads.script"),
        ),
    ),
    "harness.worlds.simulated": (
        "the same test in virtual time, on simulated nodes",
        (
            *("checkers.history", "checkers.logs", "cluster.client", "cluster.config"),
            *("cluster.core.node", "cluster.core.protocol", "cluster.net", "cluster.process"),
            *("cluster.storage", "cluster.zoo", "harness.check", "harness.generators"),
            *("harness.links", "harness.nemesis", "harness.processes", "harness.results"),
            *("harness.run", "harness.targets", "harness.targets.dynamo", "harness.usage"),
            *("harness.worlds", "workloads.client", "workloads.script"),
        ),
    ),
    "harness.simulation.schedules": (
        "schedules of virtual time as values: drawn, named, written, shrunk",
        (
            *("checkers.history", "cluster.zoo", "harness.generators", "harness.nemesis"),
            *("harness.results", "harness.usage", "harness.worlds", "harness.worlds.simulated"),
            "workloads",
        ),
    ),
    "harness.failures": (
        "failures that were found, as files: one format for both worlds",
        (
            *("harness.report", "harness.results", "harness.simulation.schedules"),
            *("harness.usage", "harness.worlds"),
        ),
    ),
    "harness.simulation": (
        "swarms of schedules in virtual time: run, judged, kept, replayed",
        (
            *("checkers", "checkers.history", "cluster.plugins", "cluster.zoo"),
            *("harness.check", "harness.failures", "harness.nemesis", "harness.processes"),
            *("harness.report", "harness.results", "harness.run"),
            *("harness.simulation.schedules", "harness.targets", "harness.usage"),
            *("harness.worlds", "harness.worlds.simulated", "workloads"),
        ),
    ),
    "harness.local_cluster": (
        "a cluster that stays up",
        (
            *("checkers.history", "cluster.client", "cluster.config", "cluster.net"),
            *("harness.processes", "harness.targets", "harness.targets.dynamo"),
            *("harness.usage", "harness.worlds"),
        ),
    ),
    "harness.campaign": (
        "matrices of tests, shrinking",
        (
            *("cluster.plugins", "cluster.storage", "harness.check", "harness.links"),
            *("harness.nemesis", "harness.processes", "harness.report", "harness.results"),
            *("harness.run", "harness.targets", "harness.usage", "harness.worlds"),
            "workloads.plain",
        ),
    ),
    "harness.dask": (
        "the tests of a campaign on the workers of a Dask cluster",
        (
            *("checkers.history", "harness.campaign", "harness.processes"),
            *("harness.results", "harness.targets", "harness.usage", "harness.worlds"),
        ),
    ),
    "harness.hunt": (
        "tests without an end, and the failures that they find",
        (
            *("checkers", "harness.campaign", "harness.failures", "harness.generators"),
            *("harness.nemesis", "harness.processes", "harness.report"),
            *("harness.results", "harness.run", "harness.text"),
            *("harness.simulation", "harness.simulation.schedules", "harness.targets"),
            *("harness.usage", "harness.worlds", "harness.worlds.simulated"),
        ),
    ),
    "harness.zoo": (
        "every planted bug: is it caught?",
        (
            *("checkers", "cluster.plugins", "cluster.zoo", "harness.campaign", "harness.report"),
            *("harness.results", "harness.run", "harness.simulation"),
            *("harness.simulation.schedules", "harness.usage", "harness.worlds"),
        ),
    ),
    "harness.bench": (
        "the node beside a bare mesh; a whole test to be judged",
        (
            *("cluster.config", "cluster.core.protocol", "cluster.core.ring", "cluster.net"),
            *("cluster.process", "cluster.storage", "harness.links", "harness.processes"),
            "harness.targets",
            *("checkers.history", "checkers.simulate", "harness.check", "harness.report"),
            "harness.worlds",
        ),
    ),
    "harness.experiments": (
        "the paper's experiments, a file each",
        (
            *("checkers.history", "cluster.client", "cluster.core.protocol", "cluster.core.ring"),
            *("cluster.process", "harness.links", "harness.processes", "harness.report.pictures"),
            *("harness.targets", "harness.worlds", "harness.worlds.simulated"),
        ),
    ),
    "harness.cli.local": (
        "commands for a local cluster",
        (
            *("checkers.history", "harness.local_cluster", "harness.targets"),
            *("harness.usage", "harness.worlds"),
        ),
    ),
    "harness.cli.stored": (
        "commands that read what tests and campaigns stored",
        (
            *("harness.campaign", "harness.check", "harness.report", "harness.results"),
            *("harness.run", "harness.serve", "harness.usage"),
        ),
    ),
    "harness.cli": (
        "commands: flags in, exit code out",
        (
            *("checkers.models", "checkers.simulate", "cluster.storage", "cluster.zoo"),
            *("harness.bench", "harness.campaign", "harness.check"),
            *("harness.cli.local", "harness.cli.stored", "harness.dask", "harness.experiments"),
            *("harness.failures", "harness.hunt"),
            *("harness.init", "harness.links"),
            *("harness.nemesis", "harness.processes", "harness.report", "harness.results"),
            *("harness.run", "harness.serve", "harness.simulation"),
            "harness.targets",
            *("harness.usage", "harness.worlds", "harness.zoo", "workloads", "workloads.plain"),
        ),
    ),
    "harness": (
        "the pytest plugin, `python -m dynamesis.harness`",
        (
            *("harness.campaign", "harness.cli", "harness.targets", "harness.usage"),
            "harness.worlds",
        ),
    ),
}

#: rooms that import no clock, socket, randomness, file
PURE = ("cluster.core", "checkers", "harness.generators")


def table() -> str:
    """The rooms as a Markdown table."""
    lines = ["| room | what is in it | imports from |", "|---|---|---|"]
    for room, (about, below) in ROOMS.items():
        lines.append(f"| `{room}` | {about} | {', '.join(below) or 'nothing of ours'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
