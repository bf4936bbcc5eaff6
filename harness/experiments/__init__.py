"""The paper's experiments, run again: each is a table beside the paper's figures, and a plot."""
