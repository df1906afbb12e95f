"""A comparison of client and server as text, page and pictures."""
