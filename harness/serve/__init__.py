"""The store as a small read-only web site."""
