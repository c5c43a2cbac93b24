"""May it pass? One expectation suite on one frozen batch."""
