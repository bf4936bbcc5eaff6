"""The node beside a bare mesh: what its guarantees cost on this machine."""
