"""What nobody may do, tried."""
