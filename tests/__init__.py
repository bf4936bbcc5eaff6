"""A package, so that pytest itself makes its folder importable as `tests`.

With `pythonpath` in pyproject.toml the root is on the path of the workers of `-n` from their very
start, where pytest finds the package by its plugin, and each worker rewrites the asserts of all
modules of the product, of which a worker imports seven hundred.
"""
