"""Pure checkers: a history goes in, a verdict comes out. Imports nothing else of ours."""

from .dynamo import CHECKERS, check

__all__ = ["CHECKERS", "check"]
