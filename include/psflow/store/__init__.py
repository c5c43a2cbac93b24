"""What did we already do? One connection, one transaction, one commit."""
