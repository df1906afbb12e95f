"""What a person's data is like, before anything is learned from it."""
