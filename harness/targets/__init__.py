"""What the harness must be able to do to a store under test."""
