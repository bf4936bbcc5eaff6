"""The zoo: planted bugs against the harness. A harness is as good as what it catches.

campaign = suited(specimens, seeds=range(1, 4), limit="8s")
Scheduler(campaign, ...).run()
results = collect(specimens, campaign, runs, ...)

The tests are those of an ordinary campaign in which each bug is a configuration; each is
paired with a test of the same workload, faults and seed without a bug, which must not be
found invalid. The harness knows no bug: the composition root lists the bugs.
"""
