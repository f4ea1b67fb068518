"""Train many trials at once, each in a lane of one array of stacked networks."""
