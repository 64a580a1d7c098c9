"""Conditions: weather and traffic of places, from servers of others, behind breakers and with what they said before."""
