"""Versions of a key: dotted version vectors, contexts, the actors that name them."""
