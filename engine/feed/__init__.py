"""The feed of events: numbered in the order of their storing, and followed by whoever makes something of them."""
