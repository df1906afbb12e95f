"""What an experiment comes to: looks, guardrails, the verdict and what chance has to do with it."""
