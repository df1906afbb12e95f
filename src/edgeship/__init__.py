"""Take a Keras model from the server to the device, and prove on the way that it is still the same model."""

__version__ = "0.1.0"
