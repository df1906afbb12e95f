"""Functions for learning again from what came back from the field."""
