"""Durable tasks: put with a change, done by a worker, tried again, and kept as dead letters when all fails."""
