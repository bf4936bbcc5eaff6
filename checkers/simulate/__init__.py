"""Histories of correct stores, drawn from a seed: for tests and benchmarks."""
