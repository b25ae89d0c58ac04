r"""Slopes and correlations of many draws of molecules at once, from sums that each molecule adds to.

With :math:`w_{bm}`, how often draw b has molecule m, the sums of a draw are those of its molecules,

.. math:: S_b[z] = \sum_m w_{bm} \sum_{i \in m} z_i, \qquad z \in \{1, x, y, x^2, xy, y^2\}

and :math:`\sum_i (x_i - \bar x)(y_i - \bar y) = S[xy] - S[x]\,S[y] / S[1]`: no row is looked at twice. Every group has
sums of its own, and its own means are taken off.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

# Below this share of the variance that all molecules have, a draw has none.
_ROUNDING = 1e-12


class Moments:
    """Sums of x, y and their products by molecule and group.

    Parameters
    ----------
    x, y
        One value per row.
    molecule
        Number of the molecule of every row.
    n_molecules
        How many there are; rows of a molecule with a higher number are left out.
    group
        Number of the group of every row; one group by default.
    """

    def __init__(
        self,
        x: Float[np.ndarray, " rows"],
        y: Float[np.ndarray, " rows"],
        molecule: Int[np.ndarray, " rows"],
        n_molecules: int,
        group: Int[np.ndarray, " rows"] | None = None,
    ) -> None:
        kept = molecule < n_molecules
        x, y, molecule = x[kept], y[kept], molecule[kept]
        group = np.zeros(len(x), dtype=np.int64) if group is None else group[kept]
        width = int(group.max(initial=0)) + 1
        # Without the means of all rows, and in units of their spread, little is lost to rounding.
        counts = np.maximum(np.bincount(group), 1)
        x, y = (z - (np.bincount(group, z) / counts)[group] for z in (x, y))
        self._scales = tuple(float(np.sqrt((z @ z) / len(z))) or 1.0 if len(z) else 1.0 for z in (x, y))
        x, y = x / self._scales[0], y / self._scales[1]
        home = molecule * width + group
        sums = [np.bincount(home, z, n_molecules * width) for z in (np.ones(len(x)), x, y, x * x, x * y, y * y)]
        self._sums = np.stack(sums, axis=-1).reshape(n_molecules, width * len(sums))

    def slope(self, drawn: Int[np.ndarray, "*draws m"], at_least: int = 2) -> Float[np.ndarray, "*draws"]:
        """Least-squares slope of y on x, one for all groups; NaN for fewer rows, or where x does not vary."""
        rows, xx, xy, _ = self._products(drawn)
        n = rows.sum(axis=-1)
        usable = (n >= at_least) & (xx > _ROUNDING * n)
        found = np.divide(xy, xx, out=np.full_like(xy, np.nan), where=usable)
        return (found * (self._scales[1] / self._scales[0])).reshape(drawn.shape[:-1])

    def correlation(self, drawn: Int[np.ndarray, "*draws m"]) -> Float[np.ndarray, "*draws"]:
        """Pearson's correlation of x and y within groups; NaN where one does not vary, or under two free rows are left.

        The mean of every group takes one row: two rows of one group lie on a line, whatever they are.
        """
        rows, xx, xy, yy = self._products(drawn)
        n, free = rows.sum(axis=-1), np.maximum(rows - 1, 0).sum(axis=-1)
        usable = (free >= 2) & (xx > _ROUNDING * n) & (yy > _ROUNDING * n)
        found = np.divide(xy, np.sqrt(np.abs(xx * yy)), out=np.full_like(xy, np.nan), where=usable)
        return np.clip(found, -1.0, 1.0).reshape(drawn.shape[:-1])

    def _products(self, drawn: Int[np.ndarray, "*draws m"]) -> tuple[Float[np.ndarray, "D ..."], ...]:
        """Rows of every draw by group, and the centred sums of xx, xy and yy over all groups."""
        sums = times_drawn(drawn.reshape(-1, drawn.shape[-1]), len(self._sums)) @ self._sums
        n, x, y, xx, xy, yy = np.moveaxis(sums.reshape(len(sums), -1, 6), -1, 0)
        divisor = np.maximum(n, 1.0)
        centred = (xx - x * x / divisor, xy - x * y / divisor, yy - y * y / divisor)
        return n, *(part.sum(axis=-1) for part in centred)


def times_drawn(drawn: Int[np.ndarray, "*draws m"], n: int) -> Float[np.ndarray, "*draws n"]:
    """How often every draw has each of n molecules: this times sums by molecule are the sums of the draws.

    Examples
    --------
    >>> times_drawn(np.array([[0, 2, 2], [1, 1, 1]]), 3).tolist()
    [[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]
    """
    rows = drawn.reshape(-1, drawn.shape[-1])
    home = rows + n * np.arange(len(rows))[:, None]
    return np.bincount(home.ravel(), minlength=n * len(rows)).reshape(*drawn.shape[:-1], n).astype(float)
