"""Pure checkers: a history goes in, a verdict comes out."""
