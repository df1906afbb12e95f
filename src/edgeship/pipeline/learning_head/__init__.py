"""Makes and checks what a bundle needs for learning on the device: `learning/`."""
