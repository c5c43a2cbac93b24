"""Small operators: open store and adapter, call one flow, return ids and counts."""
