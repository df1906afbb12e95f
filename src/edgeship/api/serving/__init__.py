"""Functions that serve a bundle other than on a device."""
