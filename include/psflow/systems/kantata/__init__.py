"""Kantata OX as the firm's PSA, API v1."""
