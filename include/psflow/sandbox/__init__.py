"""What does it look like without a vendor? A deterministic firm, its story, and the local stack."""
