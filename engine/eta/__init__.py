"""When a delivery will be there."""
