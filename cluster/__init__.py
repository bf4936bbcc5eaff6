"""The Dynamo node (2007 paper), the processes that run it, and a client for it."""
