"""What the expert sees: configuration and pre-annotations of each kind."""
