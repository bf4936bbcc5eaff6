"""Hunts: tests without an end, and the failures that they have found, as files for git.

A campaign runs a matrix once; a hunt draws seeds for it until it is stopped. What fails is shrunk,
compared with what is known (fingerprint), kept (entry, folder), and replayed first next time.
"""
