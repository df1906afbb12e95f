"""From a SavedModel to `.tflite`."""
