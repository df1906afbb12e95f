"""From a server model to a SavedModel that every converter reads."""
