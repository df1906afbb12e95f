"""Commands that bring a bundle into an app."""
