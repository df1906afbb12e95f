"""The demo page: how it is put together, served, and what its self-test reports."""
