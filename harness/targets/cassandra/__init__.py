"""Target `cassandra`: Apache Cassandra, where the last writer wins."""
