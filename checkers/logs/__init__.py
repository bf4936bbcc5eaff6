"""What the nodes' event logs prove that no client can see."""
