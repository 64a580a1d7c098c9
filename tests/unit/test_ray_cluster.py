"""The cluster file satisfies Ray's own schema."""

from pathlib import Path

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

CLUSTER = Path(__file__).parents[2] / "ray-cluster.yaml"


def test_ray_accepts_the_cluster_file():
    config = prepare_config(yaml.safe_load(CLUSTER.read_text()))
    validate_config(config)
    assert config["head_node_type"] == "head"


def test_there_is_a_head_and_a_group_each_for_shards_and_solvers():
    groups = yaml.safe_load(CLUSTER.read_text())["available_node_types"]
    assert set(groups) == {"head", "shard", "solver"}
