"""A server model from a person's own data: read, split, learned from beside baselines, and described in a card."""
