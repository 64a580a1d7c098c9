"""Routes: what a given order of stops costs and breaks, and finding good orders."""
