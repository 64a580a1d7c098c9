"""Solvers of routing problems, a file each."""
