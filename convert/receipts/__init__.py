"""What an artifact really holds, read back from its file."""
