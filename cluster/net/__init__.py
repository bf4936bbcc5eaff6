"""Frames on TCP: wire format, streams, listeners, connections to peers, TLS."""
