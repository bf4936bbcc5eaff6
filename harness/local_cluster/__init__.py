"""A cluster that stays up, and how the commands find it."""
