"""Drivers as people keep them: changed and deleted with an event, so that shards and dashboards follow."""
