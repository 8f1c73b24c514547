"""How images come in: sources, sets, files and stores on disk, Poisson sampling and batches for training."""
