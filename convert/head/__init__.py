"""What a device needs to learn its model's last layer anew: the model without it, and one step of its training."""
