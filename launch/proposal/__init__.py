"""A configuration for somebody's own images, from what is public of them."""
