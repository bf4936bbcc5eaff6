"""What a verdict rests on, for every model: without evidence nothing is valid."""
