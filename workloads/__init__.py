"""Workloads, one file each: client, generator, final generator and checkers."""
