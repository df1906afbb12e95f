"""A registry as pages and text."""
