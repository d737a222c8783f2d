"""Floor 3: one file a verb. Each has `EXAMPLES`, `add_arguments(parser)` and `main(args)`, and imports late."""
