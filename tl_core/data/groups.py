"""Groups from pairs: connected components."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def components(n: int, edges_E2: np.ndarray) -> np.ndarray:
    """Return the connected component of each of `n` nodes, int64 `[n]`, given edges `[E, 2]`."""
    graph = coo_matrix((np.ones(len(edges_E2), dtype=np.int8), (edges_E2[:, 0], edges_E2[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def spanning_edges(n: int, edges_E2: np.ndarray) -> np.ndarray:
    """Return fewer than `n` edges with the same connected components: each node with the first of its component."""
    _, first, index = np.unique(components(n, edges_E2), return_index=True, return_inverse=True)
    pairs = np.stack([first[index], np.arange(n)], axis=1)
    return pairs[pairs[:, 0] != pairs[:, 1]]


def number_groups(names_N: np.ndarray) -> np.ndarray:
    """Number equal names from 0, in the order of their first row, int64 `[N]`; -1 for a name that occurs once."""
    _, first, index, counts = np.unique(names_N, return_index=True, return_inverse=True, return_counts=True)
    several = counts > 1
    number = np.full(len(first), -1, dtype=np.int64)
    number[np.flatnonzero(several)[np.argsort(first[several])]] = np.arange(several.sum())
    return number[index]
