"""What clients report after a model shipped, and what follows from it."""
