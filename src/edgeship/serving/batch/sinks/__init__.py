"""Where predictions go, and the ledger of what is there."""
