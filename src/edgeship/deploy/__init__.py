"""What an app needs of a bundle."""
