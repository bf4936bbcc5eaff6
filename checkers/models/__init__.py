"""Every model by name: `dynamo`, registers, sets, counters, banks, transactions."""
