"""Schedules of swarms that were not valid though the node was sound, or showed that it was not.
Each is as the swarm shrank it."""

from __future__ import annotations

import pytest
from dynamesis.harness.simulation.play import replay

# Healing resets the link n2-n4 a little after all had their links: the reads that repair asked
# another node in the place of n4, which had an old version.
LINK_RESET_BY_HEALING = """
test: {world: simulated, workload: blind, seed: 202129, nodes: 5, time_limit: 0.9, concurrency: 8,
  param: [anti_entropy_interval=0, partitions=16]}
operations:
- {at: 0.0, client: 1, put: k2, id: '1.1', value: 4, basis: null}
- {at: 0.1, client: 2, put: k0, id: '2.6', value: 42, basis: null}
- {at: 0.1, client: 3, put: k2, id: '3.7', value: 62, basis: null}
- {at: 0.2, client: 1, put: k2, id: '1.6', value: 34, basis: 0}
- {at: 0.8, client: 5, put: k0, id: '5.14', value: 204, basis: null}
faults:
- {start: 0.046, stop: 0.444, member: kill.all, nodes: [n3, n4, n5]}
- {start: 0.346, member: link.narrow, kind: narrow, with: {rate_kbps: 2}, links: [n2-n4]}
"""

# A put that n3 hands on comes to n2 twice. The second copy was refused as too much, and that was
# passed on to the client while the first was carried out.
HANDED_ON_TWICE = """
test: {world: simulated, workload: set, seed: 200518, nodes: 4, r: 3, w: 1, param: [max_requests=4],
  time_limit: 0.8, concurrency: 6}
tweaks:
  fsync: [0.01, 0.15]
  points: {tree-held: 0.013}
operations:
- {at: 0.06, client: 2, get: k0}
- {at: 0.13, client: 1, put: k0, id: '1.0', value: {add: 1, elements: [1]}, basis: null}
- {at: 0.13, client: 3, put: k0, id: '3.0', value: {add: 6, elements: [6]}, basis: null}
- {at: 0.17, client: 2, put: k0, id: '2.0', value: {add: 3, elements: [3]}, basis: 0}
- {at: 0.17, client: 4, put: k0, id: '4.0', value: {add: 10, elements: [10]}, basis: null}
- {at: 0.25, client: 2, put: k1, id: '2.1', value: {add: 7, elements: [7]}, basis: null}
- {at: 0.28, client: 2, put: k0, id: '2.2',
  value: {add: 12, elements: [0, 1, 2, 6, 10, 15, 12]}, basis: null}
- {at: 0.28, client: 4, put: k0, id: '4.1',
  value: {add: 16, elements: [0, 1, 2, 6, 10, 15, 16]}, basis: null}
- {at: 0.5, client: 1, put: k0, id: '1.4',
  value: {add: 19, elements: [0, 1, 2, 5, 6, 9, 10, 11, 12, 15, 16, 22, 19]}, basis: null}
- {at: 0.6, client: 1, put: k0, id: '7.5',
  value: {add: 83, elements: [0, 1, 2, 5, 6, 9, 10, 11, 12, 15, 16, 22, 83]}, basis: null}
- {at: 0.68, client: 5, get: k0}
faults:
- {start: 0.588, member: link.duplicate, kind: frames,
  with: {drop: 0, duplicate: 11, seed: 536704217}, links: [n3-n2]}
"""

# n1 offered what its disk had not stored yet in an exchange. It died, and named another write so.
COMPARED_BEFORE_STORED = """
test: {world: simulated, workload: bulk, seed: 1005671, nodes: 3, time_limit: 0.8, concurrency: 3}
operations:
- {at: 0.0, client: 0, put: k0.0, id: '0.0', value: 0, basis: null}
- {at: 0.37, client: 1, put: k0.0, id: '13.5', value: 176, basis: null}
- {at: 0.37, client: 2, put: k0.0, id: '3.6', value: 51, options: {n: 1, w: 1}, basis: null}
- {at: 0.62, client: 0, put: k0.0, id: '12.9', value: 240, basis: null}
- {at: 0.69, client: 1, get: k0.0}
- {at: 0.73, client: 1, put: k0.0, id: '25.8', value: 569, basis: 4}
faults:
- {start: 0.371, stop: 0.446, member: disk.lost-writes, kind: lost-writes, with: {seconds: 0.156},
  nodes: [n1]}
"""

# The same, where the power fails at all primaries.
COMPARED_BEFORE_POWER_FAILED = """
test: {world: simulated, workload: cart, seed: 1004202, nodes: 4, param: [partitions=16],
  time_limit: 1.2, concurrency: 2}
operations:
- {at: 0.6, client: 1, put: k2, id: '3.1', value: {remove: sku-0, items: []}, basis: null}
- {at: 0.7, client: 1, put: k2, id: '3.2', value: {add: sku-17, items: [sku-17]}, basis: null}
- {at: 1.1, client: 1, put: k2, id: '7.10', value: {add: sku-163, items: [sku-163]}, basis: null}
faults:
- {start: 0.393, stop: 1.023, member: disk.power, target: primaries, key: k4, otherwise: n1,
  kind: lost-writes, with: {seconds: 0.229}}
"""

# A connection, a question and its answer take five messages, each as late as this network has it.
SLOW_NETWORK = """
test: {world: simulated, workload: blind, seed: 1001936, nodes: 3, time_limit: 0.6, concurrency: 1}
tweaks:
  latency: [0.001, 0.1]
operations:
- {at: 0.45, client: 0, put: k3, id: '3.6', value: 51, options: {timeout: 0.026}, basis: null}
faults: []
"""

# Newcomers that start while no member runs: one of them dies and is started again, and no member is
# there to ask for their change.
NEWCOMERS_ALONE = """
test: {world: simulated, workload: register, seed: 1005398, nodes: 3, param: [partitions=16],
  time_limit: 1.9, concurrency: 4, keys: 1}
faults:
- {start: 1.06, member: wipe.coordinator, nodes: [n2], apart: true}
- {start: 1.085, member: kill.all, nodes: [n1, n3]}
- {start: 1.163, member: membership.two, joins: 2, leaves: 0, removes: 0, among: [n3, n1], keep: 3}
- {start: 1.257, stop: 1.65, member: disk.power, target: primaries, key: k0.6350, otherwise: n3,
  kind: lost-writes, with: {seconds: 0.283}}
"""

# The only copy that was asked for is on a node whose disk is wiped: no set owes that element.
ONLY_COPY_WIPED = """
test: {world: simulated, workload: set, seed: 155, nodes: 3, n: 2, param: ['weights={n2: 2}'],
  time_limit: 0.2, concurrency: 1, keys: 20}
operations:
- {at: 0.0, client: 0, put: k11, id: '2.3', value: {add: 18, elements: [12, 18]},
  options: {n: 1, w: 1}, basis: null}
faults:
- {start: 0.08, stop: 0.105, member: wipe.one, nodes: [n1]}
"""

# n2 named a write as one before that it had not stored. It was killed, and its log lacks that line.
NAMED_AGAIN_WITHOUT_A_LINE = """
test: {world: simulated, workload: blind, seed: 3001185, nodes: 3, time_limit: 0.5, concurrency: 7}
operations:
- {at: 0.0, client: 1, put: k0, id: '1.0', value: 1, basis: null}
- {at: 0.1, client: 1, put: k0, id: '1.3', value: 2, basis: null}
- {at: 0.3, client: 1, put: k0, id: '8.5', value: 3, basis: null}
faults:
- {start: 0.097, stop: 0.444, member: disk.power, target: primaries, key: k4, otherwise: n1,
  kind: lost-writes, with: {seconds: 0.21}}
- {start: 0.178, stop: 0.253, member: kill.mid-stop, nodes: [n2], signal: SIGTERM, grace_ms: 32}
- {start: 0.316, stop: 0.407, member: kill.majority, nodes: [n2]}
"""

# n1 is put back to a disk of before two nodes joined, and the harness asks it for the ring: by that
# of old, n1 and n4 have replicas to compare.
RING_OF_OLD = """
test: {world: simulated, workload: counter, seed: 3006073, nodes: 6,
  param: [anti_entropy_interval=0.2], time_limit: 0.7, concurrency: 1}
operations: []
faults:
- {start: 0.035, stop: 0.128, member: wipe.old-disk, nodes: [n1], disk: copied}
- {start: 0.104, member: membership.two, joins: 2, leaves: 0, removes: 0,
  among: [n6, n3, n5, n2, n4], keep: 3}
- {start: 0.59, member: wipe.old-disk, nodes: [n1], disk: restored}
"""

# The only copy is a hint. It is handed off to a node whose disk is then replaced by an older copy.
HANDED_TO_AN_OLD_DISK = """
test: {world: simulated, workload: crowded, seed: 2004074, nodes: 3, n: 2,
  param: ['weights={n2: 2}'], time_limit: 0.4, concurrency: 1}
operations:
- {at: 0.1, client: 0, put: k0.640, id: '6.2', value: 38, options: {n: 1, dw: 1}, basis: null}
faults:
- {start: 0.043, stop: 0.089, member: wipe.old-disk, nodes: [n2], disk: copied}
- {start: 0.26, member: wipe.old-disk, nodes: [n2], disk: restored}
"""


# A put to three of the five primaries. The fourth keeps the hint for the third, and is killed
# before the line about that is in its log.
HINT_ON_A_PRIMARY = """
test: {world: simulated, workload: register, seed: 6008751, nodes: 5, n: 5, time_limit: 0.3,
  concurrency: 1}
operations:
- {at: 0.2, client: 0, put: k0, id: '30.16', value: 1097, options: {n: 3, dw: 1, direct: true},
  basis: null}
faults:
- {start: 0.1, stop: 0.208, member: kill.hint-holder, nodes: [n2]}
- {start: 0.238, member: kill.hint-holder, target: hint-holder, key: k0, otherwise: n4}
"""


# n3 leaves while n2 is cut off, and is to come back: n2, which does not know that it left, refuses
# that. It was stopped then, with what it still had to give n2.
SEEN_OFF_TOO_SOON = """
test: {world: simulated, workload: delete, seed: 6024039, nodes: 3, n: 1, r: 1, w: 1,
  time_limit: 0.4, concurrency: 1}
operations:
- {at: 0.14, client: 0, delete: k0.0, id: '3.10', basis: null}
- {at: 0.24, client: 0, put: k0.0, id: '3.11', value: 116, basis: 0}
faults:
- {start: 0.044, stop: 0.27, member: cut.random-halves, kind: refused, grudge: [[n2], [n1, n3]]}
- {start: 0.124, member: membership.leave-and-back, joins: 0, leaves: 1, removes: 0, back: true,
  after_ms: 869, among: [n3, n1], keep: 1}
- {start: 0.24, member: pause.majority, nodes: [n1, n3]}
"""


# The deletion of a hint fails while the disk cannot be read: it was forgotten, and stayed on the
# disk until the next start.
FORGOTTEN_AS_UNREADABLE = """
test: {world: simulated, workload: blind, seed: 8019856, nodes: 3, n: 2,
  param: ['zones={n1: a, n2: a, n3: b}'], time_limit: 0.6, concurrency: 3}
tweaks: {points: {hints-fail: 0.069, timer-early: 0.07}}
operations:
- {at: 0.3, client: 1, put: k0, id: '1.2', value: 8, basis: null}
- {at: 0.3, client: 0, put: k2, id: '7.1', value: 37, basis: null}
- {at: 0.3, client: 1, put: k4, id: '1.3', value: 13, basis: null}
- {at: 0.3, client: 2, get: k1}
- {at: 0.5, client: 0, put: k1, id: '4.8', value: 86, basis: null}
faults:
- {start: 0.055, stop: 0.336, member: disk.torn-tail, kind: torn-tail, with: {}, nodes: [n3]}
- {start: 0.535, member: disk.read-error, kind: read-error, with: {}, nodes: [n1]}
"""


# A record that n1 found damaged before it stopped, and reads well in its next life: the trees that
# it had written down were without it.
DAMAGED_BEFORE_A_STOP = """
test: {world: simulated, workload: bulk, seed: 10019771, nodes: 3, time_limit: 0.3, concurrency: 1}
operations:
- {at: 0.0, client: 0, put: k0.22, id: '4.1', value: 16, basis: null}
faults:
- {start: 0.039, stop: 0.062, member: disk.bit-flip, kind: bit-flip, with: {rows: 16}, nodes: [n1]}
- {start: 0.069, stop: 0.164, member: kill.mid-stop, nodes: [n1], signal: SIGTERM, grace_ms: 42}
"""


# 128 writes wait for n1's disk as it gets well; each is synced by itself. The simulated disk took
# 0.13 s for each of them all the same: 17 s, in which the joins did not end.
SLOW_ONE_BY_ONE = """
test: {world: simulated, workload: hot-key, seed: 10018969, nodes: 5, n: 5,
  param: [durability=each], time_limit: 0.4, concurrency: 1}
operations: []
faults:
- {start: 0.049, stop: 0.229, member: disk.slow-fsync, kind: slow-fsync, with: {seconds: 0.133},
  nodes: [n1]}
- {start: 0.079, stop: 0.259, member: load.burst, kind: burst, with: {puts: 306}, nodes: [n5]}
- {start: 0.193, member: membership.two, joins: 2, leaves: 0, removes: 0,
  among: [n5, n3, n4, n1], keep: 5}
"""


# n1 accepts that n3 leaves, and is killed before that is durable: n3 never left. That it is a
# member was taken for a refusal to take it back, and its end was waited for.
NEVER_LEFT = """
test: {world: simulated, workload: append, seed: 11091833, nodes: 3, n: 1, r: 1, w: 1,
  time_limit: 0.2, concurrency: 1}
tweaks: {fsync: [0.01, 0.15]}
operations:
- {at: 0.0, client: 0, put: k2, id: '2.2', value: {append: 3, list: [1, 2, 3]}, basis: null}
faults:
- {start: 0.029, member: membership.leave-and-back, joins: 0, leaves: 1, removes: 0, back: true,
  after_ms: 707, among: [n3, n1], keep: 1}
- {start: 0.095, member: kill.majority, nodes: [n1]}
- {start: 0.139, member: link.duplicate, kind: frames,
  with: {drop: 0, duplicate: 17, seed: 60171981}, links: [n1-n2]}
"""


# n1 is to be paused while it is down. It serves from when it is given back until it is ready, and
# is stopped only then.
PAUSED_WHILE_DOWN = """
test: {world: simulated, workload: register, seed: 13006813, nodes: 2, n: 2, time_limit: 0.3,
  concurrency: 1}
tweaks:
  points: {batch-fails: 0.088, hints-fail: 0.19, meta-late: 0.604, gossip-held: 0.023,
    reply-held: 0.032}
operations:
- {at: 0.1, client: 0, put: k0.6350, id: '3.1', value: 11, basis: null}
- {at: 0.2, client: 0, get: k0}
faults:
- {start: 0.024, stop: 0.125, member: kill.hint-holder, target: hint-holder, key: k2.3137,
  otherwise: n1}
- {start: 0.083, stop: 0.204, member: pause.one, nodes: [n1]}
"""


# The row that n3 has not stored yet as its disk is mended, and its trees are made anew, is stored
# with a flipped bit. That shows only as all is read at the end, when exchanges were equal.
DAMAGED_AS_ALL_IS_READ = """
test: {world: simulated, workload: delete, seed: 4064, nodes: 3, param: [durability=buffered],
  time_limit: 0.4, concurrency: 2}
tweaks: {latency: [0.0001, 0.02], fsync: [0.01, 0.15]}
operations:
- {at: 0.146, client: 0, put: k2.5, id: '0.0', value: 0, basis: null}
- {at: 0.189, client: 1, get: k0.0}
faults:
- {start: 0.259, stop: 0.28, member: disk.bit-flip, kind: bit-flip, with: {rows: 12}, nodes: [n3]}
"""


# n1 has stopped in order, and its next life cannot remove the mark by which that is known. It
# stores a record and is killed: the life after it took up the trees of before that record.
MARK_THAT_STAYED = """
test: {world: simulated, workload: hot-key, seed: 13084070, nodes: 3, time_limit: 0.9,
  concurrency: 1}
tweaks:
  fsync: [0.01, 0.15]
  points: {meta-fails: 0.171, timer-early: 0.052, sync-held: 0.025}
operations:
- {at: 0.69, client: 0, put: k0, id: '3.0', value: 6, basis: null}
faults:
- {start: 0.235, stop: 0.307, member: kill.graceful, nodes: [n1], signal: SIGTERM}
- {start: 0.77, stop: 0.83, member: kill.hint-holder, target: hint-holder, key: k0, otherwise: n1}
"""


@pytest.mark.parametrize(
    "schedule",
    [
        LINK_RESET_BY_HEALING,
        HANDED_ON_TWICE,
        COMPARED_BEFORE_STORED,
        COMPARED_BEFORE_POWER_FAILED,
        SLOW_NETWORK,
        NEWCOMERS_ALONE,
        ONLY_COPY_WIPED,
        NAMED_AGAIN_WITHOUT_A_LINE,
        HANDED_TO_AN_OLD_DISK,
        RING_OF_OLD,
        HINT_ON_A_PRIMARY,
        SEEN_OFF_TOO_SOON,
        FORGOTTEN_AS_UNREADABLE,
        DAMAGED_BEFORE_A_STOP,
        SLOW_ONE_BY_ONE,
        NEVER_LEFT,
        PAUSED_WHILE_DOWN,
        DAMAGED_AS_ALL_IS_READ,
        MARK_THAT_STAYED,
    ],
)
def test_a_sound_node_shows_no_anomaly(schedule: str) -> None:
    results = replay(schedule)
    assert results["anomalies"] == {}
    failed = results["evidence"]["nemesis_failed"] + results["evidence"]["heal_failed"]
    assert not failed, results["checkers"]["evidence"]
