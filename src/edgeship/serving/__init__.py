"""The other ways to serve a bundle: as a server, in batches, and whether the device is worth it."""
