"""What the way to the devices costs: clients in many languages, MediaPipe, the registry, the channel, the fleet."""
