"""What psflow claims, shown: each `python -m tests.proof.<name>` ends with one line that has its denominator."""
