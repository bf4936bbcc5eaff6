"""One test from boot to stop: interpreter, recorder, quiescence, final dumps."""
