"""Images in: sources, stored image sets, Poisson sampling and batches for training."""
