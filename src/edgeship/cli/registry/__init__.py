"""`edgeship registry`: versions of bundles."""
