"""What the expert has said, read back."""
