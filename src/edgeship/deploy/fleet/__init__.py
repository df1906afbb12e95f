"""A simulated fleet: what a rollout does to devices and to the web server, before one is made."""
