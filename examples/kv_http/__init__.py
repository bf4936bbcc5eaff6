"""A replicated key-value store over HTTP, and its target: what `dynamesis init DIR` writes."""
