"""Asynchronous jobs: asked for now, answered later."""
