"""Histories: events, columns, pairing, formats, and the rules that they must keep."""
