"""`python -m dynamesis` is `dynamesis`."""

from dynamesis.harness.cli import main

main()
