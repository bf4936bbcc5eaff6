"""From a stored history to a verdict, its files and its exit code."""
