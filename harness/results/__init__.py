"""The folder of a test, and what stands in it."""
