"""A simulated city with ground truth: traffic, orders, vans, doorsteps and what a phone in the van would have sent."""
