"""Floor 2, worlds: venues and a trading engine that do not exist, in their real dialects."""
