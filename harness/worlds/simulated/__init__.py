"""A whole test in virtual time: nodes as values, a network and disks that are simulated."""
