"""Which of two models is better with users: a planned, randomized experiment, and an analysis that keeps to its plan."""
