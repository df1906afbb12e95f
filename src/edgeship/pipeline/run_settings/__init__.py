"""The settings of one run: a configuration file's, or a bundle's, and what the caller says instead."""
