"""Floor 2, in: sockets, clocks and queues around the venues."""
