"""The demo: a company of the simulated city that plans its morning with Outrider and drives it.

The city is `pipelines.fleet`'s; whatever the demo does to Outrider goes through the public API.
"""
