"""The server that clients send their reports to."""
