"""What can be done to a store under test."""
