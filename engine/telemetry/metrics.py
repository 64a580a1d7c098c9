"""Every metric of Outrider, declared in one place: `outrider_<room>_<thing>_<unit>`, base units, no entity ids.

Several processes add up through prometheus-client's files (`engine.environment`), and whichever process is asked
(`render`) reads them all.
"""

import os

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from engine.environment import METRICS_VARIABLE

__all__ = [
    "BATCH_DURATION",
    "CACHE_READS",
    "COMMIT_DURATION",
    "COMMIT_FIXES",
    "DRIVERS_LIVE",
    "ETA_ESTIMATES",
    "ETA_LEGS",
    "ETA_LEG_ERROR",
    "ETA_MARGIN",
    "ETA_MODEL",
    "ETA_PROMISES",
    "ETA_RESIDUAL",
    "ETA_RISKS",
    "ETA_SWAPS",
    "EVENTS",
    "FEED_LAG",
    "FEED_NUMBERED",
    "FIXES_ADVANCED",
    "FRAMES_SENT",
    "HISTORY_FIXES",
    "HISTORY_OLDEST",
    "IDENTITY_READS",
    "LOG_LAG",
    "MESSAGES",
    "OUTBOX_RELAYED",
    "PINGS",
    "PROCESS_RESTARTS",
    "PROVIDER_CALLS",
    "PROVIDER_CIRCUIT",
    "SUBSCRIBERS",
    "TASKS",
    "TASKS_LATE",
    "TASK_RESTARTS",
    "TRAFFIC_AGE",
    "TRAFFIC_ARCS",
    "TRAFFIC_FIXES",
    "circuits",
    "estimates",
    "forget_process",
    "render",
]

_FAST_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

PINGS = Counter("outrider_ingest_pings", "Pings at the door by outcome.", ["tenant", "outcome"])
COMMIT_FIXES = Counter("outrider_log_commit_fixes", "Fixes that group commits put on the log.")
COMMIT_DURATION = Histogram("outrider_log_commit_duration_seconds", "Time of one group commit.", buckets=_FAST_S)
LOG_LAG = Gauge("outrider_log_lag_seconds", "How far the slowest partition is behind.", multiprocess_mode="livemax")
FIXES_ADVANCED = Counter("outrider_shard_fixes", "Fixes that shards advanced, by outcome.", ["outcome"])
BATCH_DURATION = Histogram("outrider_shard_batch_duration_seconds", "Time to advance one batch.", buckets=_FAST_S)
DRIVERS_LIVE = Gauge("outrider_shard_drivers", "Drivers in memory.", multiprocess_mode="livesum")
EVENTS = Counter("outrider_shard_events", "Events that shards raised, by kind.", ["kind"])
ETA_ESTIMATES = Counter("outrider_eta_estimates", "Stops whose arrival was estimated anew.")
ETA_PROMISES = Counter(
    "outrider_eta_promises", "Promises by how they turned out: early, inside or late of their range.", ["outcome"]
)
ETA_LEGS = Counter(
    "outrider_eta_legs", "Finished legs by model and by whether they ended in range.", ["model", "outcome"]
)
ETA_LEG_ERROR = Histogram(
    "outrider_eta_leg_error_seconds",
    "Distance between the arrival and the middle of what was said at departure.",
    ["model"],
    buckets=(15, 30, 60, 90, 120, 180, 240, 300, 450, 600, 900, 1800),
)
ETA_RISKS = Counter(
    "outrider_eta_risks",
    "Arrivals at stops with a window, by what was told before and what happened.",
    ["told", "missed"],
)
ETA_RESIDUAL = Gauge(
    "outrider_eta_residual_ratio",
    "Time ÷ what the model says, of legs that finished lately.",
    ["tenant"],
    multiprocess_mode="livemostrecent",
)
ETA_MARGIN = Gauge(
    "outrider_eta_margin_ratio",
    "By how much a tail is moved outwards, log ratio.",
    ["tenant", "tail"],
    multiprocess_mode="livemostrecent",
)
ETA_SWAPS = Counter("outrider_eta_swaps", "Models put in place of others, by outcome.", ["outcome"])
ETA_MODEL = Gauge("outrider_eta_model", "1 for each model that is asked.", ["model"], multiprocess_mode="livemax")
TRAFFIC_FIXES = Counter("outrider_traffic_fixes", "Fixes that traffic was learned from, or not.", ["outcome"])
TRAFFIC_ARCS = Gauge("outrider_traffic_arcs", "Pieces of road ever driven.", multiprocess_mode="livemax")
TRAFFIC_AGE = Gauge("outrider_traffic_age_seconds", "Since a drive last taught anything.", multiprocess_mode="livemax")
HISTORY_FIXES = Counter("outrider_sink_history_fixes", "Fixes written to history.")
HISTORY_OLDEST = Gauge(
    "outrider_sink_oldest_unwritten_seconds", "Age of the oldest fix not in history.", multiprocess_mode="livemax"
)
FEED_NUMBERED = Counter("outrider_feed_numbered", "Events that got their number in the feed.")
FEED_LAG = Gauge(
    "outrider_feed_lag_events", "Events that a follower has not taken.", ["follower"], multiprocess_mode="livemax"
)
TASKS = Counter("outrider_tasks_attempts", "Attempts at tasks, by kind and outcome.", ["kind", "outcome"])
TASKS_LATE = Histogram("outrider_tasks_late_seconds", "From due to begun.", ["kind"], buckets=_FAST_S)
OUTBOX_RELAYED = Counter("outrider_outbox_relayed", "Outbox events that reached the log.")
SUBSCRIBERS = Gauge("outrider_gateway_subscribers", "Open live subscriptions.", multiprocess_mode="livesum")
FRAMES_SENT = Counter("outrider_gateway_frames", "Live frames sent.")
MESSAGES = Counter(
    "outrider_notifications_messages", "Messages to people by channel and outcome.", ["channel", "outcome"]
)
CACHE_READS = Counter(
    "outrider_cache_reads", "Reads of what is kept, by kind and by the level that had it.", ["kind", "level"]
)
IDENTITY_READS = Counter(
    "outrider_api_identity_reads", "Users and keys of requests, by where they were found.", ["source"]
)
PROVIDER_CALLS = Counter("outrider_provider_calls", "Calls of outside services by outcome.", ["provider", "outcome"])
PROVIDER_CIRCUIT = Gauge(
    "outrider_provider_circuit",
    "Circuit of an outside service: 0 closed, 1 trying again, 2 open.",
    ["provider"],
    multiprocess_mode="livemax",
)
PROCESS_RESTARTS = Counter("outrider_host_process_restarts", "Child processes started again.", ["process"])
TASK_RESTARTS = Counter("outrider_host_task_restarts", "Long-lived tasks started again after an error.", ["task"])


def render() -> bytes:
    """Return all metrics of this process and, where a folder is shared, of its siblings, as Prometheus text."""
    return generate_latest(_everywhere())


def circuits() -> dict[str, int]:
    """Return the circuit of each outside service, the worst of all processes: 0 closed, 1 trying again, 2 open."""
    metrics = (metric for metric in _everywhere().collect() if metric.name == "outrider_provider_circuit")
    return {sample.labels["provider"]: int(sample.value) for metric in metrics for sample in metric.samples}


def estimates() -> int:
    """Return how many stops all shards have estimated."""
    metrics = (metric for metric in _everywhere().collect() if metric.name == "outrider_eta_estimates")
    return sum(int(sample.value) for metric in metrics for sample in metric.samples if sample.name.endswith("_total"))


def _everywhere() -> CollectorRegistry:
    if METRICS_VARIABLE not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus-client leaves it bare
    return registry


def forget_process(pid: int) -> None:
    """Take the live gauges of a dead process out of the sums."""
    if METRICS_VARIABLE in os.environ:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]  # as above
