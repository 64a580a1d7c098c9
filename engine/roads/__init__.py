"""Roads: what an OpenStreetMap extract becomes, for eyes and, later, for routes."""
