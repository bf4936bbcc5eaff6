"""Text for people: what a terminal or a page may get, and where a line of it is broken."""
