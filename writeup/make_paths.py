"""Draw how the means move from the handout's start, iteration by iteration.

Usage: python make_paths.py figures/paths.pdf
"""

import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from make_experiments import ROOT, load, path, widest_gap

LAST = 20  # the last iteration that is drawn
STYLE = load("gmm-visualize").STYLE  # a component has the colour that it has in the other figures


def draw(axes, data, k):
    """Draw the paths of k means, downwards, over the histogram of the data as shades of grey."""
    counts, edges = np.histogram(data, bins=40)
    axes.pcolormesh(edges, [0, LAST], [counts], cmap="Greys", vmax=2 * counts.max())
    axes.axvline(np.mean(widest_gap(data)), color="0.5", lw=0.8, ls=(0, (4, 2)))
    stop = len(path(data, k, 1)) - 1  # the iteration after which tol = 1 ends
    for i, means in enumerate(path(data, k, 1e-6)[: LAST + 1].T):  # of one component, by iteration
        style = {"color": f"C{i}", "lw": 1.2}
        axes.plot(means[: stop + 1], range(stop + 1), "-", **style)
        axes.plot(means[stop:], range(stop, len(means)), ":", **style)
        axes.plot(means[0], 0, "v", ms=5, clip_on=False, **style)
        axes.plot(means[stop], stop, "o", ms=4, **style)
    axes.set_title(f"$k = {k}$", pad=8, size="medium")
    axes.set_xlabel("$x$")


def main(target):
    """Save the figure for k = 3 to 6."""
    data = np.loadtxt(ROOT / "data.txt")
    with matplotlib.rc_context(STYLE):
        figure, row = plt.subplots(1, 4, figsize=(6.5, 2.6), sharex=True, sharey=True)
        for k, axes in zip(range(3, 7), row):
            draw(axes, data, k)
        row[0].set_ylim(LAST, 0)
        row[0].set_yticks(range(0, LAST + 1, 5))
        row[0].set_ylabel("iteration")
        figure.savefig(target, metadata={"CreationDate": None})


if __name__ == "__main__":
    matplotlib.use("agg")
    main(sys.argv[1])
