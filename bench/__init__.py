"""How fast is it? Ratios against plain SQL and the tools one would pick instead, side by side on one machine."""
