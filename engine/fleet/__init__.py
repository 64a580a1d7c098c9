"""Vehicles and depots: what routes are planned with."""
