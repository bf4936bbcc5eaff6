"""The client side of a workload: requests, the encoding of values."""
