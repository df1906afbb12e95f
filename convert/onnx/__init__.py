"""From a SavedModel to `.onnx`."""
