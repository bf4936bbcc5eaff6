"""Campaigns: a matrix of tests from one YAML file, each run as a process of its own.

campaign = read(text, "nightly.yaml")
with worker_pool(jobs) as pool:
    Scheduler(campaign, folder, journal, pool).run()
"""
