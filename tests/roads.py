"""Small road maps for tests, written as OpenStreetMap XML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

from engine.roads.build import build_network
from engine.roads.network import RoadNetwork

METRE = 1 / 111_195.0
"""A metre in degrees of latitude, and near the equator of longitude."""


@dataclass
class Town:
    """Nodes at (x, y) metres from (0, 0), ways over them, bans."""

    nodes: dict[int, tuple[float, float]] = field(default_factory=dict)
    node_tags: dict[int, Mapping[str, str]] = field(default_factory=dict)
    ways: list[tuple[Sequence[int], Mapping[str, str]]] = field(default_factory=list)
    bans: list[tuple[int, Sequence[tuple[str, int]], int, str, Mapping[str, str]]] = field(default_factory=list)

    def way(self, *nodes, **tags):
        self.ways.append(
            (nodes, {"highway": "residential"} | {key.replace("__", ":"): tag for key, tag in tags.items()})
        )
        return len(self.ways)

    def ban(self, from_way, via, to_way, kind="no_left_turn", **tags):
        self.bans.append((from_way, [("node", via)], to_way, kind, tags))

    def ban_over(self, from_way, vias, to_way, kind="no_u_turn", **tags):
        """Restrict what may be done behind some ways, whoever comes from another."""
        self.bans.append((from_way, [("way", via) for via in vias], to_way, kind, tags))

    def at(self, node, east=0.0, north=0.0):
        x, y = self.nodes[node]
        return ((y + north) * METRE, (x + east) * METRE)

    def network(self, folder: Path, **options) -> RoadNetwork:
        extract = folder / "town.osm"
        extract.write_text(self.xml())
        build_network(extract, folder / "town.roads", **options)
        return RoadNetwork.load(folder / "town.roads")

    def xml(self):
        lines = ['<osm version="0.6">']
        for node, (x, y) in self.nodes.items():
            tags = _tags(self.node_tags.get(node, {}))
            lines.append(f'<node id="{node}" version="1" lat="{y * METRE:.8f}" lon="{x * METRE:.8f}">{tags}</node>')
        for number, (nodes, tags) in enumerate(self.ways, 1):
            refs = "".join(f'<nd ref="{node}"/>' for node in nodes)
            lines.append(f'<way id="{number}" version="1">{refs}{_tags(tags)}</way>')
        for number, (from_way, vias, to_way, kind, tags) in enumerate(self.bans, 1):
            listed = [("way", from_way, "from"), *((of, via, "via") for of, via in vias), ("way", to_way, "to")]
            members = "".join(f'<member type="{of}" ref="{ref}" role="{role}"/>' for of, ref, role in listed)
            all_tags = {"type": "restriction", "restriction": kind} | tags
            lines.append(f'<relation id="{number}" version="1">{members}{_tags(all_tags)}</relation>')
        return "\n".join([*lines, "</osm>"])


def _tags(tags):
    return "".join(f"<tag k={quoteattr(key)} v={quoteattr(value)}/>" for key, value in tags.items())


def grid_town(size=4, block_m=100.0):
    """Return a town of size × size crossings; crossing (column, row) is node 10 * row + column + 1."""
    town = Town()
    for row in range(size):
        for column in range(size):
            town.nodes[10 * row + column + 1] = (column * block_m, row * block_m)
    for line in range(size):
        town.way(*(10 * line + column + 1 for column in range(size)))
        town.way(*(10 * row + line + 1 for row in range(size)))
    return town
