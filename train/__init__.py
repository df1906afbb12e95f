"""Built-in tasks: their data, their server models, the trainer and the model card."""
