"""Traffic: what the fleet's own drives say of the roads, as a state that plans and estimates take up."""
