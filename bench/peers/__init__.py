"""The tools one would pick instead, each in an environment of its own that the bench makes."""
