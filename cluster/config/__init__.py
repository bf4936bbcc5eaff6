"""The configuration of a node, and its certificates."""
