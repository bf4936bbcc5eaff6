"""What requests run on: timers and calls, statistics, randomness, admission."""
