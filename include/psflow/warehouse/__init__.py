"""What does it add up to? SQL over many rows."""
