"""Graphs over operations: causal order, and the cycles that prove an anomaly."""
