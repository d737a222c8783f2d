"""Floor 3: the venues' failures, played against the real lines, and what the oracle made of them."""
