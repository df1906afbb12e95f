"""Commands that make models and bundles."""
