"""Floor 0: the rules, pure. No clock, no I/O, no logging, no randomness."""
