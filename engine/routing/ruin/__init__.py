"""Ruin and recreate: a compiled search of our own, for what other solvers leave."""
