"""The MD5 ring: partitions, claims, preference lists, the sloppy quorum's plan."""
