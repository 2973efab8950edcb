"""Draw how the means move from the handout's start, iteration by iteration.

Usage: python make_paths.py figures/paths.pdf
"""

import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from make_experiments import ROOT, path

LAST = 20  # the last iteration that is drawn
STYLE = {
    "font.family": "serif",
    "font.serif": ["cmr10"],
    "mathtext.fontset": "cm",
    "axes.formatter.use_mathtext": True,  # cmr10 has no minus sign of its own
    "font.size": 9,
    "axes.titlesize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
COLOURS = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"  # of gmm-visualize.py


def draw(axes, data, k):
    """Draw the paths of k means, downwards, over the histogram of the data as shades of grey."""
    counts, edges = np.histogram(data, bins=40)
    axes.pcolormesh(edges, [0, LAST], [counts], cmap="Greys", vmax=2 * counts.max())
    values = np.sort(data)
    widest = np.argmax(np.diff(values))
    axes.axvline(values[widest : widest + 2].mean(), color="0.5", lw=0.8, ls=(0, (4, 2)))
    means, changes = path(data, k, 1e-6)
    stop = 2 + np.argmax(abs(changes[1:]) < 1)  # the first iteration never stops EM
    times = np.arange(len(means))
    for i, colour in zip(range(k), COLOURS):
        axes.plot(means[: stop + 1, i], times[: stop + 1], color=colour, lw=1.2)
        axes.plot(means[stop : LAST + 1, i], times[stop : LAST + 1], ":", color=colour, lw=1.2)
        axes.plot(means[0, i], 0, "v", color=colour, ms=5, clip_on=False)
        axes.plot(means[stop, i], stop, "o", color=colour, ms=4)
    axes.set_title(f"$k = {k}$", pad=8)
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
        figure.tight_layout(pad=0.3, w_pad=1)
        figure.savefig(target, metadata={"CreationDate": None})


if __name__ == "__main__":
    matplotlib.use("agg")
    main(sys.argv[1])
