"""Plans: how many users, which looks, what is measured."""
