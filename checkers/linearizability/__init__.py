"""Is there an order of operations that respects real time? One object whose values may repeat."""
