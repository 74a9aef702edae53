"""A bundle served as an ML backend."""
