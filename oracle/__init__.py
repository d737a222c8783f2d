"""The index and mark-price oracle: venues in, verifiable values out."""

__version__ = "0.1.0"
