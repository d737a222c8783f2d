"""Floor 1: one file a methodology, composed from core."""
