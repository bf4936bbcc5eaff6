"""Commands that read what tests and campaigns stored: report, export, log, merge, serve."""
