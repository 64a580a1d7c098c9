"""geofences."""
