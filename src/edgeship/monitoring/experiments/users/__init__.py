"""What is known of the users of an experiment, and the difference between its arms."""
