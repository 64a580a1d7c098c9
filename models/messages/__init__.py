"""Shapes on the wire and in the log: packed records and msgspec structs."""
