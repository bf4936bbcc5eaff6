"""Pictures of anomalies as static SVG: one module a kind of picture, no script."""
