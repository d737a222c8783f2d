"""Floor 1: one file a venue. Bytes in, facts out."""
