"""Records in memory and on disk: the write buffer, the record table, hash trees."""
