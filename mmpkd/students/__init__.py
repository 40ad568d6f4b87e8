"""The student: the vision transformer, its first weights, the losses and the training loop."""
