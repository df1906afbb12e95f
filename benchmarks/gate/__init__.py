"""What judges figures by a budget."""
