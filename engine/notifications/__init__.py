"""Telling customers, drivers and users: whom and when (rules), in which words (templates), and sending it once."""
