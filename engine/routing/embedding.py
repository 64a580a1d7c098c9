"""Where places lie, from nothing but the travel between them: points for clustering."""

import numpy as np
from numpy.typing import NDArray

from engine.routing.travel import Places, Travel

__all__ = ["embed"]

_LANDMARKS = 24
_AXES = 3  # the plane, and one for what roads bend


def embed(travel: Travel, places: Places) -> NDArray[np.float64]:
    """Return points, N × 3, whose straight lines come near to the distances between places, in metres.

    Landmarks are chosen far from each other, laid out by classical scaling, and every other place is put where its
    distances to them say: O(N) distances, never a matrix of all pairs.

    Notes
    -----
    De Silva and Tenenbaum 2004: Sparse multidimensional scaling using landmark points. Ways there and back count alike.
    """
    landmarks, squared = _landmarks(travel, places)
    among = squared[:, landmarks]
    mean = among.mean(axis=1)
    centred = -0.5 * (among - mean[:, None] - mean[None, :] + among.mean())
    values, vectors = np.linalg.eigh((centred + centred.T) / 2)
    order = np.argsort(values)[::-1][:_AXES]
    kept = order[values[order] > 1e-9 * max(1.0, float(values.max(initial=0.0)))]
    points = np.zeros((len(places), _AXES))
    if kept.size:
        axes = vectors[:, kept] / np.sqrt(values[kept])
        points[:, : kept.size] = -0.5 * (squared - mean[:, None]).T @ axes
    return points


def _landmarks(travel: Travel, places: Places) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return indices into `places` far from each other, and squared distances from each to all places."""
    chosen, rows = [0], []
    nearest = np.full(len(places), np.inf)
    while True:
        at = places[chosen[-1:]]
        row = (travel.metres(at, places)[0] + travel.metres(places, at)[:, 0]) / 2.0
        rows.append(row**2)
        nearest = np.minimum(nearest, row)
        farthest = int(np.argmax(nearest))
        if len(chosen) == min(_LANDMARKS, len(places)) or nearest[farthest] <= 0:
            return np.array(chosen, np.intp), np.array(rows)
        chosen.append(farthest)
