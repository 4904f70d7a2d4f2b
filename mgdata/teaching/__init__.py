"""The teacher's part of a run, on the driver: `rounds` is where to begin."""
