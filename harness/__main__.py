"""`python -m harness` is `dynamesis`."""

from harness.cli import main

main()
