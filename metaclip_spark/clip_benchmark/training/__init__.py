"""The training loop, its processes and checkpoints."""
