r"""Write every number of writeup.tex as TeX, or say which of its sentences is not true.

\newresult{NAME}{VALUE} defines what \result{NAME} prints in the prose; \formulas,
\fitrows and \answer are the lines of the formulas and of the table.

Usage: python make_numbers.py > numbers.tex
"""

import itertools
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
from make_data import MEANS, SDS, SIZE
from make_experiments import (
    KS,
    LAST,
    RESTARTS,
    ROOT,
    TOL,
    em,
    load,
    middle_of_gap,
    path,
    shifted,
)
from scipy.signal import find_peaks

HERE = Path(__file__).resolve().parent
viz = load("gmm-visualize")
NEAR = 1e-3  # two fits with ll this close are the same
MARGIN = 0.35  # means this close to the middle of the gap may end on either side
BINS = 0.7, 1.1  # the widths of the bins of histograms


def claim(words, true):
    """Exit with the sentence of writeup.tex that has these words, unless it is true."""
    if not true:
        text = " ".join((HERE / "writeup.tex").read_text().split())
        sentence = next(part for part in re.split("(?<=[.:]) ", text) if words in part)
        found = f"{words!r} is not true of data.txt: writeup.tex: {sentence}"
        sys.exit(f"make_numbers.py: {found}")


def read_fits(folder):
    """Return {k: fit} of a folder, each fit in ascending order of its means."""
    fits = {}
    for file in sorted(folder.glob("*.txt")):
        for fit in viz.read_fits(str(file)):
            order = np.argsort(fit["means"])
            fits[fit["k"]] = fit | {key: fit[key][order] for key in viz.LISTS}
    return fits


def read_experiment(name):
    """Return what make_experiments.py printed, with each k as a number again."""

    def numbered(pairs):
        return {int(key) if key.isdigit() else key: value for key, value in pairs}

    text = (HERE / "experiments" / f"{name}.json").read_text()
    return json.loads(text, object_pairs_hook=numbered)


def mixture(fit):
    """Return the weights, means and varis of a fit."""
    return fit["weights"], fit["means"], fit["varis"]


def bic(k, n, ll):
    """Return the Bayesian information criterion of k components; lower is better."""
    return (3 * k - 1) * math.log(n) - 2 * ll


def best_by_bic(fits):
    """Return the k of the lowest BIC."""
    return min(fits, key=lambda k: fits[k]["bic"])


def merged(weights, means, varis, members):
    """Return a mixture with one component in the place of its members.

    Its weight, mean and variance are those of its members together.
    """
    shares = weights[members] / weights[members].sum()
    mean = shares @ means[members]
    vari = shares @ (varis[members] + (means[members] - mean) ** 2)
    ones = weights[members].sum(), mean, vari
    lists = weights, means, varis
    return [np.append(np.delete(v, members), one) for v, one in zip(lists, ones)]


def shares(data, fit, centres):
    """Return the mean responsibility of each component for the values of each cluster.

    A cluster is the values that are nearest to its centre. -> (k, clusters)
    """
    gammas = em.expectation(data, *mixture(fit))
    cluster = np.argmin(abs(centres[:, None] - data), axis=0)
    means = [gammas[:, cluster == i].mean(axis=1) for i in range(len(centres))]
    return np.transpose(means)


def at_most(value):
    """Return a bound with two decimals that is not below the value."""
    return f"{math.ceil(100 * value) / 100:.2f}"


def at_least(value):
    """Return a bound with two decimals that is not above the value."""
    return f"{math.floor(100 * value) / 100:.2f}"


def power(tol):
    """Return a power of ten as TeX."""
    return f"10^{{{math.log10(tol):.0f}}}"


def enumerate_words(words):
    """Return "a, b and c"."""
    *others, last = map(str, words)
    return f"{', '.join(others)} and {last}" if others else last


# Problem 2.3


def formula(fit):
    """Return the lines of p_X(x) = ... in an `alignedat`, three terms a line."""
    terms = []
    for weight, mean, vari in zip(*mixture(fit)):
        terms.append(rf"{weight:#.4g}\,\N{{{mean:#.4g}}}{{{vari:#.4g}}}")
    groups = [terms[first : first + 3] for first in range(0, len(terms), 3)]
    # On a line that follows, + takes the width of the = above it.
    lines = " \\\\*\n&\\mathrel{+} ".join(" &&+ ".join(group) for group in groups)
    return rf"k = {fit['k']}:\quad p_X(x) &= {lines}"


def same(ll, other):
    """Return whether two ll are of the same fit."""
    return abs(ll - other) < NEAR


def fit_row(k, handout, tight, best, lls):
    """Return a row of the table of fits; `lls` are the best ones of each seed."""
    cells = [k]
    for fits in handout, tight, best:
        if k not in fits:
            cells.append(r"\multicolumn{3}{c}{a component collapses}")
            continue
        cells += [fits[k]["iterations"]] if fits is not best else []
        score = f"{fits[k]['bic']:.2f}"
        bold = k == best_by_bic(fits)
        cells += [f"${fits[k]['ll']:.2f}$", rf"\textbf{{{score}}}" if bold else score]
    cells.append(sum(same(ll, best[k]["ll"]) for ll in lls))
    return " & ".join(map(str, cells)) + r" \\"


def on_the_changes(data, paths, handout, best, starts):
    """Yield (name, TeX) of what the log-likelihoods do, and of the fall."""
    claim("EM ends at", set(handout) == set(KS))
    change = {k: handout[k]["ll"] - handout[k - 1]["ll"] for k in KS[1:]}
    claim("rises by", change[3] > 1)
    claim("falls by", change[4] < 0)
    claim("at $k = 5$ and by", 0 < change[5] < 1 < change[6])
    claim("it falls by", change[4] + change[5] < 0)
    for k in change:
        yield f"change.{k}", f"{abs(change[k]):.2f}"
    yield "change.3.to.5", f"{-change[4] - change[5]:.2f}"
    pair = merged(*mixture(handout[4]), [2, 3])
    differences = np.subtract(pair, mixture(handout[3]))
    claim("almost the fit with $k = 3$", abs(differences).max() < 0.01)
    ends = {k: shares(data, handout[k], best[4]["means"]) for k in (3, 4)}
    covers = {k: (ends[k] > 0.9).any(axis=0).tolist() for k in ends}
    claim("covers the third", covers == {3: [True] * 4, 4: [True] * 3 + [False]})
    claim("share the rightmost cluster", ends[4][2:, 3].sum() > 0.9)
    as_one = em.log_likelihood(data, *pair)
    texts = [f"{ll:.2f}" for ll in (as_one, handout[3]["ll"], handout[4]["ll"])]
    claim("the $\\loglik$ of $k = 3$", texts[0] == texts[1])
    claim("As two they give less", handout[4]["ll"] < as_one)
    yield "as.one", texts[0]
    yield "as.two", texts[2]
    stop, (_, lls) = handout[4]["iterations"], paths[4]
    steps = np.diff(lls)  # steps[t - 2] is the change in iteration t
    claim("raised $\\loglik$ by only", 0 < steps[stop - 2] < 1)
    claim("steps of at most", max(steps[stop - 1 :]) < steps[stop - 2])
    claim("more than was missing", lls[-1] - lls[stop - 1] > -change[4])
    yield "stop", stop
    yield "last.step", f"{steps[stop - 2]:.2f}"
    yield "more.steps", len(lls) - stop
    yield "more.change", f"{lls[-1] - lls[stop - 1]:.2f}"
    yield "more.most", at_most(max(steps[stop - 1 :]))
    (fall, rise), lls = starts["tols"], starts["by tol"]
    claim("still falls", lls[4][0] < lls[3][0])
    claim("it rises to", lls[4][1] > lls[3][1])
    yield "tol.fall", power(fall)
    yield "tol.rise", power(rise)
    for k in (3, 4):
        yield f"fall.{k}", f"{lls[k][0]:.2f}"
    yield "rise.4", f"{lls[4][1]:.2f}"


def lies_across(data, fit, middle):
    """Return what share of each component's points lies across, and what is needed.

    Across is on the other side of the middle than the mean. The average of the points
    passes the middle once the share is larger than the needed one:
    (middle - a) / (b - a), with a, b their averages on this side and on the other.
    data (n,) -> shares, needed, a, b, each (k,); NaN without points on one side
    """
    gammas = em.expectation(data, *fit)
    across = (fit[1] < middle)[:, None] != (data < middle)  # (k, n)
    with np.errstate(invalid="ignore"):  # 0 / 0 is meant to be NaN
        sides = [gammas * ~across, gammas * across]
        a, b = ((side * data).sum(axis=1) / side.sum(axis=1) for side in sides)
        crossing = sides[1].sum(axis=1) / gammas.sum(axis=1)
    return crossing, (middle - a) / (b - a), a, b


def share_nearer(data, means, middle):
    """Return what share of the values across are nearer to a mean there, at least."""
    left, found = means < middle, []
    for mean, side in zip(means, left):
        across, there = data[(data < middle) != side], means[left != side]
        nearest = abs(across[:, None] - there).min(axis=1)
        found.append(np.mean(nearest < abs(across - mean)))
    return min(found)


def on_the_start(data, paths, handout, tight, best, starts):
    """Yield (name, TeX) of why the log-likelihood stands still."""
    low, high, middle = middle_of_gap(data)
    place = (middle - min(data)) / np.ptp(data)
    left = {name: fits[:, 1] < middle for name, (fits, _) in paths.items()}
    counts = [sum(left[k][0]) for k in KS]  # at the start
    claim("two clusters on each side", sum(best[4]["means"] < middle) == 2)
    floors = [int(round(place, 2) * k) for k in KS]
    claim("means start left of the middle", counts == floors)
    stays = {name: (left[name] == left[name][0]).all() for name in left}
    claim("no mean passes the middle", all(stays[k] for k in KS[1:]))
    every = [lies_across(data, fit, middle) for k in KS[1:] for fit in paths[k][0]]
    claim("There are never enough", all((s < n)[s > 0].all() for s, n, *_ in every))
    means = [fit[1] for k in KS[1:] for fit in paths[k][0]]
    nearer = min(share_nearer(data, each, middle) for each in means)
    claim("as most of those beyond are nearer", nearer > 0.5)
    first = lies_across(data, paths[3][0][0], middle)
    share, needed, a, b = (each[0] for each in first)  # of the first component
    claim("Their share is largest", share == max(max(s) for s, *_ in every))
    claim("Without the means on one side", all(map(passes, starts["left only"])))
    claim("Without the means on one side", all(map(passes, starts["right only"])))
    stuck = handout[4], handout[5], tight[4], tight[5]
    claim("remains alone", all(sum(fit["means"] < middle) == 1 for fit in stuck))
    weights = {f"{fit['weights'][0]:.2f}" for fit in stuck}
    means = {f"{fit['means'][0]:.2f}" for fit in stuck}
    claim("with weight", len(weights) == len(means) == 1)
    claim("the best fit has no more", sum(best[3]["means"] < middle) == 1)
    little = tight[5]["ll"] - tight[3]["ll"]
    claim("and rises only", 0 < little < 2)
    hidden = np.diff(handout[5]["means"])[1] < 0.2  # two dots overlap on paper
    claim("the second dot lies under the third", hidden)
    pair = abs(handout[6]["means"][:2] - best[4]["means"][:2])
    claim("two means start on the left", counts[4] == 2 and max(pair) < 0.1)
    yield "gap.low", f"{low:.2f}"
    yield "gap.high", f"{high:.2f}"
    yield "gap.share", f"{place:.2f}"
    yield "left.means", enumerate_words(counts)
    yield "across", f"{100 * share:.0f}"
    yield "needed", f"{100 * needed:.0f}"
    yield "near", f"{a:.2f}"
    yield "far", f"{b:.2f}"
    yield "middle", f"{middle:.2f}"
    claim("go on to", min(tight[4]["iterations"], tight[5]["iterations"]) > LAST)
    yield "last", LAST
    yield "last.4", tight[4]["iterations"]
    yield "last.5", tight[5]["iterations"]
    yield "stuck.weight", weights.pop()
    yield "stuck.mean", means.pop()
    yield "little", f"{little:.2f}"


def passes(end):
    """Return whether the number of means on the left changes, at both tol."""
    start, *ends = end["left"]
    return start not in ends


def on_other_starts(handout, starts):
    """Yield (name, TeX) of what other starts for k = 3, 4 and 5 end with."""
    moved, second, shifts = starts["moved"], starts["second"], starts["shifted"]
    gains = [moved[k]["ll"][0] - handout[k]["ll"] for k in (3, 4, 5)]
    claim("two means are on the left", moved[4]["left"][0] == moved[5]["left"][0] == 2)
    claim("two means are on the left", min(gains[1:]) > 50)
    claim("only one on the right", moved[3]["left"] == [2, 2, 2] and gains[0] < -50)
    off = [np.sort(moved[k]["means"]) - shifts[k][-1]["means"] for k in (4, 5)]
    claim("have the same places", max(abs(np.concatenate(off))) < 1e-5)
    ends = [end for k in shifts for end in shifts[k]]
    near = [end for end in ends if end["nearest"] <= MARGIN]
    lls = {1: [], 2: []}
    for end in ends:
        if end["nearest"] > MARGIN:
            lls[end["left"][0]].append(end["ll"])
    found = {count: [ll for both in lls[count] for ll in both if ll] for count in lls}
    limits = max(found[1]), min(found[2])
    claim("the number on the left tells", limits[0] + 50 < limits[1])
    never = [ll for ll, _ in lls[1]], *lls[2]  # with tol = 1, and with two on the left
    claim("collapse with", None not in itertools.chain(*never))
    passed = [end for end in near if end["left"][2] != end["left"][0]]
    claim("a mean passes to the right", second["left"] == [2, 1, 1])
    claim("a mean passes to the right", max(second["ll"]) < limits[0])
    yield "shifts", starts["steps"]
    yield "shifted", len(ends)
    yield "shifted.near", len(near)
    yield "shifted.passed", len(passed)
    yield "margin", MARGIN
    yield "shifted.1", len(lls[1])
    yield "shifted.2", len(lls[2])
    yield "shifted.ll.1", at_most(limits[0])
    yield "shifted.ll.2", at_least(limits[1])
    yield "shifted.collapse", sum(None in both for both in lls[1])
    yield "second.at", f"{second['means'][1]:g}"
    yield "second", f"{second['ll'][0]:.2f}"
    for k in (3, 4, 5):
        yield f"moved.{k}", f"{moved[k]['ll'][0]:.2f}"


def on_two(data, handout, tight, best, starts):
    """Yield (name, TeX) of why the log-likelihood is low at k = 2."""
    left, right = starts["two"]
    means = shifted(data, 2, 0), left["means"], right["means"]
    off = [abs(best[4]["means"][2] - each) for each in means]  # from the third cluster
    claim("starts nearer to $\\mu_1$", off[0][0] < off[0][1])
    claim("So it is from", left["left"][0] == 1 and off[1][0] < off[1][1])
    claim("So it is from", same(left["ll"][1], tight[2]["ll"]))
    claim("both on the right", right["left"][0] == 0 and off[2][0] > off[2][1])
    claim("both on the right", same(right["ll"][1], best[2]["ll"]))
    for name, each in ("left", means[1]), ("right", means[2]):
        yield f"two.{name}", ", ".join(f"{mean:.3g}" for mean in each)
    yield "two.left.ll", f"{left['ll'][0]:.2f}"
    yield "two.right.ll", f"{right['ll'][0]:.2f}"
    yield "handout.2", f"{handout[2]['ll']:.2f}"


def on_the_collapse(data, tight, message):
    """Yield (name, TeX) of the error message of the handout's start at k = 6."""
    pattern = r"component (\d+) collapsed onto the value (\S+) in"
    found = re.search(f"k = 6: {pattern}", message)
    claim("collapses onto the single", found and set(tight) == {2, 3, 4, 5})
    claim("the largest of all", float(found[2]) == data.max())
    yield "collapse.component", found[1]
    yield "collapse.value", found[2]


def on_the_spikes(data, best, spikes):
    """Yield (name, TeX) of a fifth component on two neighbouring values."""
    n, lls = len(data), [ll for ll in spikes["ll"] if ll is not None]
    low, high = spikes["pair"]
    weights, means, varis = map(np.array, spikes["best"])
    i, ll = np.argmin(varis), em.log_likelihood(data, weights, means, varis)
    scores = sorted(bic(5, n, ll) for ll in lls)
    claim("only one ends with", scores[0] < best[4]["bic"] < scores[1])
    claim("which happen to be close", low < means[i] < high and n * weights[i] < 2.01)
    claim("fewer than three", n * weights[i] < em.FEW and 2.9 < em.FEW <= 3)
    yield "pairs", len(spikes["ll"])
    yield "pairs.collapse", len(spikes["ll"]) - len(lls)
    yield "pair.low", f"{low:.6f}"
    yield "pair.high", f"{high:.6f}"
    yield "spike.bic", f"{bic(5, n, ll):.2f}"


# Problem 2.4


def peak_count(bars):
    """Return how many peaks a histogram has; before and after its bars are none."""
    return len(find_peaks([0, *bars, 0])[0])


def peak_counts(data, *widths):
    """Return the numbers of peaks of histograms with bins of these or medium widths."""
    found = set()
    for width in np.linspace(min(widths), max(widths), 9):
        for first in np.linspace(0, 1, 10, endpoint=False):  # where the bins begin
            edges = np.arange(min(data) - first * width, max(data) + 2 * width, width)
            counts = np.histogram(data, edges)[0]
            found.add(peak_count(counts))
    return found


def on_six(data, handout, best):
    """Yield (name, TeX) of why the answer is not six."""
    highest = max(KS, key=lambda k: handout[k]["ll"])
    claim("the highest $\\loglik$ and the lowest $\\BIC$", highest == 6)
    claim("the highest $\\loglik$ and the lowest $\\BIC$", best_by_bic(handout) == 6)
    rise = [best[k]["ll"] - best[k - 1]["ll"] for k in KS[1:]]
    claim("rises with every component", min(rise) > 0)
    poor = [best[k]["ll"] - handout[k]["ll"] for k in (4, 5)]
    claim("at $k = 4$ and~$5$ EM ended far below", min(poor) > 50)
    centres = best[4]["means"]
    covers = {k: shares(data, handout[k], centres) > 0.9 for k in KS}
    alone = covers[6].any(axis=1).tolist() == [True] * 3 + [False] * 3
    rightmost = shares(data, handout[6], centres)[3:, 3]
    claim("three share the rightmost", alone and sum(rightmost) > 0.9)
    four = merged(*mixture(handout[6]), [3, 4, 5])
    ll = em.log_likelihood(data, *four)
    fall, score = handout[6]["ll"] - ll, bic(4, len(data), ll)
    claim("falls by only", 0 < fall < 1)
    claim("and $\\BIC$ falls", score < handout[6]["bic"])
    step = em.maximization(data, em.expectation(data, *four))
    missing = best[4]["ll"] - em.log_likelihood(data, *step)
    claim("One step of EM from the four", 0 < missing < 0.01)
    pairs = [[i, j] for j in range(4) for i in range(j)]
    costs = [ll - em.log_likelihood(data, *merged(*four, pair)) for pair in pairs]
    claim("any two of them", min(costs) > 50)
    claim("ends with three clusters", covers[2][0, :3].all())
    claim("covers the three leftmost", covers[2][0, :3].all())
    claim("the two leftmost", all(covers[k][0, :2].all() for k in (3, 4, 5)))
    one_each = shares(data, best[4], centres).diagonal()
    claim("has one for each", min(one_each) > 0.9)
    yield "six.weight", f"{four[0][-1]:.3f}"
    yield "six.fall", f"{fall:.2f}"
    yield "six.ll", f"{ll:.2f}"
    yield "six.bic", f"{score:.2f}"
    yield "six.missing", f"{missing:.3f}"
    yield "six.pairs", at_least(min(costs))
    for i, centre in enumerate(centres, 1):
        yield f"centre.{i}", f"{centre:.1f}"


def on_the_histogram(data, bars):
    """Yield (name, TeX) of how many peaks the histogram has."""
    claim("It has four peaks", peak_counts(data, *BINS) == {4})
    claim("Wider ones can merge", min(peak_counts(data, BINS[1] + 0.2)) < 4)
    claim("narrower ones have more", max(peak_counts(data, BINS[0] - 0.2)) > 4)
    densities, edges = bars
    narrower = max(np.diff(edges)) < BINS[0]
    claim("as in Figure", narrower and peak_count(densities) > 4)
    yield "bins.narrow", BINS[0]
    yield "bins.wide", BINS[1]


def on_bic(n, best, seeds):
    """Yield (name, TeX) of which k has the lowest BIC, and by how much."""
    search = {(fit["tol"], fit["restarts"], fit["seed"]) for fit in best.values()}
    claim("random ones", search == {(TOL, RESTARTS, 0)})
    needed = 1.5 * math.log(n)
    gain = {k: best[k]["ll"] - best[k - 1]["ll"] for k in KS[1:]}
    claim("fourth raises it by", min(gain[3], gain[4]) > needed)
    claim("by more than", needed > max(gain[5], gain[6]))
    claim("lowest with four components", best_by_bic(best) == 4)
    lls = seeds["ll"]
    claim("With seeds", all(same(lls[k][0], best[k]["ll"]) for k in KS))
    alike = [same(ll, best[k]["ll"]) for k in (2, 3, 4, 5) for ll in lls[k]]
    claim("the same fits at $k = 2$ to~$5$", all(alike))
    six = sum(same(ll, best[6]["ll"]) for ll in lls[6])
    claim("with the other", six == len(lls[6]) - 1 and min(lls[6]) < best[6]["ll"])
    scores = {k: np.array([bic(k, n, ll) for ll in lls[k]]) for k in KS}
    wins = [scores[4] < scores[k] for k in KS if k != 4]
    claim("with four for each seed", np.all(wins))
    needles = {k: best[k]["varis"] < 0.01 for k in KS}
    firsts = [np.argmin(abs(best[k]["means"] - best[4]["means"][0])) for k in (4, 5)]
    claim("colours can change clusters", firsts[0] != firsts[1])
    extra = [sum(needles[k]) for k in KS]
    claim("extra components are needles", extra == [0, 0, 0, 1, 2])
    yield "needed.gain", f"{needed:.2f}"
    for k in (4, 5, 6):
        yield f"gain.{k}", f"{gain[k]:.2f}"
    yield "seeds.last", len(lls[6]) - 1
    yield "seeds.six", six
    yield "seeds.least", f"{min(lls[6]):.2f}"
    for k in (5, 6):
        weights, means = best[k]["weights"][needles[k]], best[k]["means"][needles[k]]
        points = [f"{n * weight:.1f}" for weight in weights]
        yield f"needles.{k}", enumerate_words(points)
        yield f"needles.at.{k}", enumerate_words(f"{mean:.2f}" for mean in means)


def on_new_data(heldout):
    """Yield (name, TeX) of the held-out log-likelihoods."""
    claim("into ten parts", heldout["folds"] == 10)
    lls = {k: np.array(heldout["splits"][k]) for k in KS}
    wins = [lls[4] > lls[k] for k in KS if k != 4]
    claim("highest at $k = 4$ in each", np.all(wins))
    values = {k: np.array(heldout["values"][k]) for k in KS}
    for k in KS:
        yield f"heldout.{k}", f"{values[k].sum():.1f}"
    yield "heldout.splits", len(lls[4])
    for k in (5, 6):
        lead = values[4] - values[k]  # of each value
        error = len(lead) ** 0.5 * lead.std(ddof=1)
        claim("predict new data best", lead.sum() > 2 * error)
        yield f"lead.{k}", f"{lead.sum():.1f}"
        yield f"lead.error.{k}", f"{error:.1f}"


def on_the_truth(best):
    """Yield (name, TeX) of the fit beside the mixture that the data were drawn from."""
    sds = np.array(SDS)
    means_off = (best["means"] - MEANS) / (sds / SIZE**0.5)
    varis_off = (best["varis"] - sds**2) / (sds**2 * (2 / SIZE) ** 0.5)
    worst = np.abs([means_off, varis_off]).max()
    claim("has all of these", worst < 2.5)
    yield "worst", at_most(worst)
    yield "size", SIZE
    yield "true.means", enumerate_words(MEANS)
    yield "true.varis", enumerate_words(f"{vari:g}" for vari in sds**2)


def read():
    """Return all that the writeup rests on, by name."""
    fits = HERE / "fits"
    data = np.loadtxt(ROOT / "data.txt")
    handout = read_fits(fits)
    mixtures = [mixture(fit) for fit in handout.values()]
    return {
        "data": data,
        "bars": viz.view_of(mixtures, data).bars,
        "paths": {k: path(data, k, TOL, shifted(data, k, 0)) for k in KS},
        "handout": handout,
        "tight": read_fits(fits / "tol1e-6"),
        "best": read_fits(fits / "restarts"),
        "message": (fits / "tol1e-6" / "k2-6.err").read_text(),
        "starts": read_experiment("starts"),
        "seeds": read_experiment("seeds"),
        "spikes": read_experiment("spikes"),
        "heldout": read_experiment("heldout"),
    }


def results(
    data, bars, paths, handout, tight, best, message, starts, seeds, spikes, heldout
):
    """Yield (name, TeX) of every number in the prose; exit if a sentence is false."""
    yield "n", len(data)
    yield "restarts", RESTARTS
    yield "tol.tight", power(TOL)
    yield "same", NEAR
    yield from on_the_changes(data, paths, handout, best, starts)
    yield from on_the_start(data, paths, handout, tight, best, starts)
    yield from on_other_starts(handout, starts)
    yield from on_two(data, handout, tight, best, starts)
    yield from on_the_collapse(data, tight, message)
    yield from on_the_spikes(data, best, spikes)
    yield from on_six(data, handout, best)
    yield from on_the_histogram(data, bars)
    yield from on_bic(len(data), best, seeds)
    yield from on_new_data(heldout)
    yield from on_the_truth(best[4])


def blocks(handout, tight, best, seeds, **others):
    """Yield (name, TeX) of the formulas and the rows of the table."""
    yield "formulas", " \\\\[3pt]\n".join(map(formula, handout.values()))
    rows = [fit_row(k, handout, tight, best, seeds["ll"][k]) for k in KS]
    yield "fitrows", "\n".join(rows)
    yield "answer", formula(best[4])


def main():
    """Print numbers.tex."""
    inputs = read()
    print("% Generated by make_numbers.py, do not edit.")
    for name, value in results(**inputs):
        print(rf"\newresult{{{name}}}{{{value}}}")
    for name, lines in blocks(**inputs):
        print(f"\\newcommand{{\\{name}}}{{%\n{lines}}}")


if __name__ == "__main__":
    main()
