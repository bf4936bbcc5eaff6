"""`dynamesis init`: writes what a test of a user's own store needs."""
