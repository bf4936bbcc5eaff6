"""Scripts: what one client does, step by step."""
