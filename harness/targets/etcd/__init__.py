"""etcd: three nodes that agree by Raft, spoken to over the JSON gateway of its v3 API."""
