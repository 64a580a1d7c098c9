"""Users as admins keep them: created, changed and deleted with an event."""
