"""What the server of bundles costs beside one written by hand."""
