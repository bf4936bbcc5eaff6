"""Coordination of a client's get and put."""
