"""The hierarchy gives what plain Dijkstra gives, whatever the graph, the order and the weights."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from engine.roads.hierarchy import CLOSED, contract, customize, pack, recustomize
from engine.roads.queries import Seeds, matrix_weights, way_between
from engine.roads.shares import shares_of

pytestmark = pytest.mark.timeout(400)  # the first run compiles the rules


@st.composite
def graphs(draw):
    """Nodes, edges (tail, head), weights in milliseconds, an order of contraction."""
    nodes = draw(st.integers(2, 14))
    node = st.integers(0, nodes - 1)
    edges = draw(st.lists(st.tuples(node, node).filter(lambda edge: edge[0] != edge[1]), min_size=1, max_size=40))
    edges = list(dict.fromkeys(edges))
    weights = draw(st.lists(st.integers(1, 50), min_size=len(edges), max_size=len(edges)))
    tail, head = (np.array(column, np.int32) for column in zip(*edges, strict=True))
    return nodes, tail, head, np.array(weights, np.int64), np.array(draw(st.permutations(range(nodes))))


def everywhere(hierarchy):
    size = hierarchy.rank.size
    return Seeds(np.arange(size + 1, dtype=np.int32), hierarchy.rank, np.zeros(size, np.int64))


def by_dijkstra(nodes, tail, head, weights):
    is_open = weights < CLOSED
    matrix = coo_array((weights[is_open].astype(float), (tail[is_open], head[is_open])), shape=(nodes, nodes))
    return dijkstra(matrix.tocsr())


@given(graphs())
def test_a_matrix_equals_dijkstra(graph):
    nodes, tail, head, weights, order = graph
    hierarchy = contract(order, tail, head)
    places = everywhere(hierarchy)

    found = matrix_weights(hierarchy, customize(hierarchy, weights), places, places)

    expected = by_dijkstra(nodes, tail, head, weights)
    assert np.array_equal(np.where(found < CLOSED, found, np.inf), expected)


@given(graphs(), st.data())
def test_other_weights_on_the_same_hierarchy_equal_dijkstra(graph, data):
    nodes, tail, head, weights, order = graph
    closed = data.draw(st.lists(st.integers(0, tail.size - 1), max_size=5))
    weights[closed] = CLOSED
    hierarchy = contract(order, tail, head)
    places = everywhere(hierarchy)

    found = matrix_weights(hierarchy, customize(hierarchy, weights), places, places)

    expected = by_dijkstra(nodes, tail, head, weights)
    assert np.array_equal(np.where(found < CLOSED, found, np.inf), expected)


@given(graphs(), st.integers(1, 4))
def test_threads_side_by_side_make_what_one_alone_does(graph, threads):
    _, tail, head, weights, order = graph
    hierarchy = contract(order, tail, head)
    shares = shares_of(hierarchy, threads)
    assert sorted(np.concatenate([*shares.side_by_side, shares.after]).tolist()) == list(range(order.size))

    with ThreadPoolExecutor(threads) as pool:
        shared = customize(hierarchy, weights, (shares, pool))

    alone = customize(hierarchy, weights)
    assert np.array_equal(shared.up, alone.up)
    assert np.array_equal(shared.down, alone.down)


@given(graphs(), st.data())
def test_a_few_other_weights_make_what_all_weights_anew_would(graph, data):
    _, tail, head, weights, order = graph
    hierarchy = contract(order, tail, head)
    changed = data.draw(st.dictionaries(st.integers(0, tail.size - 1), st.integers(1, 99) | st.just(int(CLOSED))))
    others = weights.copy()
    others[list(changed)] = list(changed.values())

    partly = recustomize(hierarchy, customize(hierarchy, weights), others)

    whole = customize(hierarchy, others)
    assert np.array_equal(partly.up, whole.up)
    assert np.array_equal(partly.down, whole.down)


@given(graphs())
def test_a_way_is_made_of_edges_and_is_as_long_as_the_matrix_says(graph):
    nodes, tail, head, weights, order = graph
    hierarchy = contract(order, tail, head)
    metric, places = customize(hierarchy, weights), everywhere(hierarchy)
    matrix = matrix_weights(hierarchy, metric, places, places)
    edges = dict(
        zip(zip(hierarchy.rank[tail].tolist(), hierarchy.rank[head].tolist(), strict=True), weights, strict=True)
    )

    for source in range(nodes):
        for target in range(nodes):
            way = way_between(hierarchy, metric, places.part(source, source + 1), places.part(target, target + 1))
            if way is None:
                assert matrix[source, target] >= CLOSED
                continue
            weight, ranks = way
            steps = list(zip(ranks.tolist(), ranks[1:].tolist(), strict=False))
            assert (ranks[0], ranks[-1]) == (hierarchy.rank[source], hierarchy.rank[target])
            assert sum(edges[step] for step in steps) == weight == matrix[source, target]


def test_lengths_are_those_of_the_fastest_ways_and_of_equally_fast_ones_the_shortest():
    tail, head = np.array([0, 1, 0, 2], np.int32), np.array([1, 3, 2, 3], np.int32)
    weights = pack(np.array([5, 5, 4, 6]), np.array([90, 90, 70, 80]))
    hierarchy = contract(np.array([1, 2, 0, 3]), tail, head)
    places = everywhere(hierarchy)

    found = matrix_weights(hierarchy, customize(hierarchy, weights), places, places)[0, 3]

    assert (found >> 32, found & 0xFFFFFFFF) == (10, 150)
