"""`python -m dynamesis.harness` is `dynamesis`."""

from dynamesis.harness.cli import main

main()
