"""Examples: campaigns as YAML, and a planted bug of your own."""
