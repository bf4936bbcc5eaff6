"""Reading and writing histories: JSON Lines, JSON and EDN, plain or compressed."""
