"""Commands for learning again."""
