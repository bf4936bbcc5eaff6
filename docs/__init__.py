"""The manual, as `dynamesis docs` lists it and the wheel carries it."""
