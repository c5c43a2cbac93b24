"""psflow: one professional-services deal from closed-won to a tied-out invoice."""

__version__ = "0.1.0"
