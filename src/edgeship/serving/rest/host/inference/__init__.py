"""Models in their runtimes, the queue before each, and which of them are served."""
