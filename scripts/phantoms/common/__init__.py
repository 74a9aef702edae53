"""What the phantoms of all domains share."""
