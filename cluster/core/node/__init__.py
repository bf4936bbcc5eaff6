"""The node: one value that takes events and gives effects."""
