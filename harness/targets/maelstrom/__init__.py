"""Programs that speak Maelstrom's protocol: JSON lines on stdin and stdout."""
