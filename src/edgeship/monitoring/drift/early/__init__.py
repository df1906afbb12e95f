"""Early warnings between weeks."""
