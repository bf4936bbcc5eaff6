"""One node as an operating-system process: configuration, server, supervisor, logs."""
