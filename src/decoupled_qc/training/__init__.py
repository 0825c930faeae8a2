"""From samples to trained networks: losses, sampling, the loop, and how it survives being stopped."""
