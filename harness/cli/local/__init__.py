"""Commands for a local cluster: get, put, delete, status and so on."""
