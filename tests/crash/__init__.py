"""Kill the package's own flows at every point, on real Postgres against the vendors' sandboxes; count what broke."""
