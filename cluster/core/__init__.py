"""The node as sans-I/O state machines: no sockets, clocks, randomness or files."""
