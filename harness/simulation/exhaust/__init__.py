"""All small schedules: their words, the test of each, and what came of all."""
