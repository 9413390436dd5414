"""The main job with real processes: Home Assistant, the simulator, nothing between them but sockets."""
