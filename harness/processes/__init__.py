"""Processes and ports of this machine: reserved, watched, and never left behind."""
