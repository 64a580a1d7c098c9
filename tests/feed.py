"""The sequencer's work by hand, for tests that let no feed run."""

from models.store.connections import Database
from models.store.event_queue import EventQueue


async def number(database: Database, limit: int) -> int:
    """Number the oldest events that wait, and return how many there were."""
    queue = EventQueue(database)
    if batch := await queue.waiting(limit):
        await queue.number(batch, told=True)
    return len(batch)
