"""What the page's plots over time are drawn from, as plain data for the browser."""
