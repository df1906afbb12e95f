"""Client code for a bundle in several languages, which replays the bundle's raw goldens on the device that it runs on."""
