"""Floor 2, out: REST, WebSocket and metrics of what was written."""
