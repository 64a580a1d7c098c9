"""Figures of deliveries and drivers: kept current by events, rebuilt from the truth, both by the same pure rules."""
