"""What artifacts are measured with and against: the server model's answers, a plan of figures, twins, repaired confidences."""
