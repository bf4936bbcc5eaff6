"""What a test runs in: processes, links and clients, built and taken down together."""
