"""Commands that read bundles and their artifacts."""
