"""Draw how the means move in each iteration, from the handout's start and another one.

Usage: python make_paths.py figures/paths.pdf
"""

import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from make_experiments import (
    KS,
    LAST,
    ROOT,
    TOL,
    load,
    middle_of_gap,
    moved,
    path,
    shifted,
)

STYLE = load("gmm-visualize").STYLE  # a component has its colour of the other figures


def draw(axes, data, k, means):
    """Draw the paths of k means, downwards, over the histogram of the data in grey."""
    counts, edges = np.histogram(data, bins=40)
    axes.pcolormesh(edges, [0, LAST + 1], [counts], cmap="Greys", vmax=2 * counts.max())
    axes.axvline(middle_of_gap(data)[2], color="0.5", lw=0.8, ls=(0, (4, 2)))
    stop = len(path(data, k, 1, means)[1])  # the iteration after which tol = 1 ends
    paths = path(data, k, TOL, means)[0][: LAST + 1, 1]
    for i, means in enumerate(paths.T):  # of one component, by iteration
        style = {"color": f"C{i}", "lw": 1.2}
        axes.plot(means[: stop + 1], range(stop + 1), "-", **style)
        axes.plot(means[stop:], range(stop, len(means)), ":", **style)
        axes.plot(means[0], 0, "v", ms=5, clip_on=False, **style)
        axes.plot(means[stop], stop, "o", ms=4, clip_on=False, **style)
    axes.set_xlabel("$x$")


def main(target):
    """Save the figure for k = 2 to 6, and for k = 4 with the last mean moved."""
    data = np.loadtxt(ROOT / "data.txt")
    with matplotlib.rc_context(STYLE):
        figure, row = plt.subplots(1, 6, figsize=(6.5, 2.15), sharex=True, sharey=True)
        for k, axes in zip(KS, row):
            draw(axes, data, k, shifted(data, k, 0))
            axes.set_title(f"$k = {k}$", pad=8, size="medium")
        draw(row[-1], data, 4, moved(data, 4, 4, min(data)))
        row[-1].set_title("$k = 4$, moved", pad=8, size="medium")
        row[0].set_xlim(min(data) - 1.5, max(data) + 1)  # room for the triangles
        row[0].locator_params("x", nbins=4)
        row[0].set_ylim(LAST + 1, 0)
        row[0].set_yticks(range(0, LAST + 1, 5))
        row[0].set_ylabel("iteration")
        figure.savefig(target, metadata={"CreationDate": None})


if __name__ == "__main__":
    matplotlib.use("agg")
    main(sys.argv[1])
