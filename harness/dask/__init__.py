"""Campaigns on many machines: tests as tasks of a Dask cluster.

with dask_pool("tcp://10.0.0.1:8786") as pool:
    Scheduler(campaign, folder, journal, pool).run()
"""
