"""A model's life after it shipped, simulated in one place: clients, users, and a calendar of their own."""
