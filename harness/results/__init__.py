"""The folder of a test, and what is in it."""
