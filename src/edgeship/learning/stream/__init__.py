"""Learning in intervals: rows as they come are predicted, then learned; each interval ends in a version that the gate judged."""
