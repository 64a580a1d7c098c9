"""Deliveries by the table: read from files, checked row by row, stored all or none, and written out again."""
