"""What a training and a grid of trainings are told, and the models' sizes."""
