"""A cluster that runs already: addresses from a file, faults by proxies and by commands of its
owner; nothing else is touched."""
