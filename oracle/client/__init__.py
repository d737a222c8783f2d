"""For consumers: read the stream, feed the engine's market. Stands on core.types and core.wire alone."""
