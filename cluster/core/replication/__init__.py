"""Copies kept the same: replicas, hints, anti-entropy, transfers, tombstone collection."""
