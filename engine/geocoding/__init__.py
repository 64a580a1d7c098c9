"""Addresses to points: by a provider, from what it said before, or from the offline gazetteer."""
