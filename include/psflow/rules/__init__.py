"""What should happen? Pure decisions, no clock, no I/O."""
