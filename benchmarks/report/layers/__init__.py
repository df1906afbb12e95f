"""What layers and operators cost: tables, a picture, and node data for Model Explorer."""
