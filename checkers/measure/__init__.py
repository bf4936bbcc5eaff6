"""What is measured and not judged: availability, staleness, repairs, statistics."""
