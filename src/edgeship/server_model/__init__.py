"""The server model: its file, what is checked before it is loaded, and what it computes."""
