"""The client library: routing, contexts, sibling resolvers, and the admin client."""
