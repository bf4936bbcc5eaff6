"""The harness: generators, nemeses, links, the runner, the store of results and the CLI."""
