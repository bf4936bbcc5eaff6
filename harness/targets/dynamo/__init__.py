"""Our own node as a target."""
