"""From a SavedModel to a TF.js graph model."""
