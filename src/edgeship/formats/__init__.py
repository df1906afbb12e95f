"""What is read from an artifact's own file."""
