"""The reference profile of a bundle, `profile.json`: what a client counts, and the evaluation data in the same bins."""
