"""Who is in the cluster: membership, gossip, failure detector, joins and leaves."""
