"""Floor 2, durable: what is published was first written here."""
