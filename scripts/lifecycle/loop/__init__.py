"""The whole loop, once: stations from training to a rollback, and the timeline that tells of them."""
