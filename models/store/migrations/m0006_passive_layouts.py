"""Drivers put aside say how their state is laid out: all before were of one layout, which is named here."""

from typing import Any

from pymongo.database import Database

from models.messages.records import Layout, layout_name

__all__ = ["BEFORE", "dependencies", "downgrade", "name", "upgrade"]

name = "m0006_passive_layouts"
dependencies = ["m0005_eta_blocks"]

BEFORE: Layout = [
    ("number", "<u4"),
    ("tenant", "<u4"),
    ("partition", "<u2"),
    ("profile", "<u2"),
    ("battery", "|u1"),
    ("online", "|u1"),
    ("motion", "|u1"),
    ("mark", "|u1"),
    ("time", "<i8"),
    ("lat", "<f8"),
    ("lon", "<f8"),
    ("device_time", "<i8"),
    ("received", "<i8"),
    ("speed", "<f4"),
    ("heading", "<f4"),
    ("accuracy", "<f4"),
    ("version", "<u4"),
    ("heard", "<i8"),
    ("position", "<u8"),
    ("ring", "<u8", (32,)),
    ("ring_next", "<u4"),
    ("suspects", "<u4"),
    ("suspect_time", "<i8"),
    ("suspect_lat", "<f8"),
    ("suspect_lon", "<f8"),
    ("suspect_accuracy", "<f4"),
    ("settled", "<u4"),
    ("anchor_time", "<i8"),
    ("anchor_lat", "<f8"),
    ("anchor_lon", "<f8"),
    ("anchor_path_m", "<f8"),
    ("rest_time", "<i8"),
    ("rest_lat", "<f8"),
    ("rest_lon", "<f8"),
    ("rest_path_m", "<f8"),
    ("path_m", "<f8"),
    ("trip_time", "<i8"),
    ("trip_lat", "<f8"),
    ("trip_lon", "<f8"),
    ("trip_odometer_m", "<f8"),
    ("odometer_m", "<f8"),
    ("fence_since", "<i8", (8,)),
    ("fence_number", "<u4", (8,)),
    ("fence_state", "|u1", (8,)),
    ("fence_hits", "|u1", (8,)),
    ("stop_head", "<i4"),
    ("open_stops", "<u4"),
    ("received_n", "<u4"),
    ("live_n", "<u4"),
    ("late_n", "<u4"),
    ("filtered_n", "<u4"),
    ("duplicate_n", "<u4"),
    ("pad", "<u4"),
]
"""Of a driver's state in the releases before."""


def upgrade(db: "Database[Any]") -> None:
    """Say of what was put aside before that it is of the layout before."""
    db["passive"].update_one({"_id": layout_name(BEFORE)}, {"$setOnInsert": {"fields": BEFORE}}, upsert=True)
    db["passive"].update_many(
        {"b": {"$exists": True}, "layout": {"$exists": False}}, {"$set": {"layout": layout_name(BEFORE)}}
    )


def downgrade(db: "Database[Any]") -> None:
    """Forget drivers whom the release before could not read, and what layouts there are."""
    db["passive"].delete_many({"layout": {"$exists": True, "$ne": layout_name(BEFORE)}})
    db["passive"].delete_many({"fields": {"$exists": True}})
    db["passive"].update_many({}, {"$unset": {"layout": ""}})
