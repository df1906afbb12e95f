"""Device profiles, one `.toml` each, and the machine that this runs on."""
