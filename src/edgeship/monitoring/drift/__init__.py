"""Whether what clients report has moved since a model shipped, and whether that costs accuracy."""
