"""`edgeship.toml`: what it says, and what of it needs the user's permission."""
