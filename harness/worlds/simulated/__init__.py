"""A whole test in virtual time: real nodes on a simulated network, disks, clocks and processes."""
