"""Telling a tenant's own servers what happens, by the Standard Webhooks specification."""
