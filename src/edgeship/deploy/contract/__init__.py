"""The contract with the app: what it has in hand, how that becomes a model's input, and what the output means."""
