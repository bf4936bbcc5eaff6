"""Failures that were found, as small text files for git: one format for both worlds.

A hunt and a swarm of simulated schedules keep what they find here (failure, folder); one bug is
one file, by its anomaly and the evidence for it (fingerprint).
"""
