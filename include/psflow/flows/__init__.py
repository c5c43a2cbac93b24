"""What happens, in which order? Use cases that take ports and a store and return counts."""
