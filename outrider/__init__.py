"""outrider."""
