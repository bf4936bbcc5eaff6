"""The nodes of the cluster: membership, gossip, failure detector, joins and leaves."""
