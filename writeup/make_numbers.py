r"""Write every number of writeup.tex as TeX, or say which of its sentences is not true.

\newresult{NAME}{VALUE} defines what \result{NAME} prints in the prose; \formulas,
\fitrows and so on are the lines of the formulas and the tables.

Usage: python make_numbers.py > numbers.tex
"""

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
    ROOT,
    em,
    load,
    middle_of_gap,
    path,
    shifted,
    spread,
)

HERE = Path(__file__).resolve().parent
NEAR = 1e-3  # two fits with ll this close are the same
RESTARTS = 50  # those of fits/restarts
MARGIN = 0.35  # means this close to the middle of the gap may end on either side
BINS = 0.7, 1.1  # the widths of the bins of histograms


def claim(words, true):
    """Exit with the sentence of writeup.tex that has these words, unless it is true."""
    if not true:
        text = " ".join((HERE / "writeup.tex").read_text().split())
        sentence = next(part for part in re.split("(?<=[.:]) ", text) if words in part)
        found = f"{words!r} is not true of data.txt: writeup.tex: {sentence}"
        sys.exit(f"make_numbers.py: {found}")


def read_fits(*files):
    """Return {k: fit}, in ascending order of the means, of what gmm-em.py printed."""
    fits = {}
    printed = "".join(file.read_text() for file in files)
    for text in re.split(r"(?m)^(?=data: )", printed)[1:]:
        fit = dict(re.findall(r"(?m)^(\S+): (.*)$", text))
        fit["iterations"] = int(fit["iterations"])
        fit |= {key: float(fit[key]) for key in ("ll", "bic")}
        order = np.argsort(np.array(fit["means"].split(), float))
        for key in ("weights", "means", "varis"):
            fit[key] = np.array(fit[key].split(), float)[order]
        fit["terms"] = re.findall(r"(\S+) N\(x \| (\S+), (\S+)\)", text)
        fits[int(fit["k"])] = fit
    return fits


def read_experiment(name):
    """Return what make_experiments.py printed, with each k as a number again."""

    def numbered(pairs):
        return {int(key) if key.isdigit() else key: value for key, value in pairs}

    text = (HERE / "experiments" / f"{name}.json").read_text()
    return json.loads(text, object_pairs_hook=numbered)


def bic(k, n, ll):
    """Return the Bayesian information criterion of k components; lower is better."""
    return (3 * k - 1) * math.log(n) - 2 * ll


def best_by_bic(fits):
    """Return the k of the lowest BIC."""
    return min(fits, key=lambda k: fits[k]["bic"])


def power(tol):
    """Return a power of ten as TeX."""
    return f"10^{{{math.log10(tol):.0f}}}"


def enumerate_words(words):
    """Return "a, b and c"."""
    *others, last = map(str, words)
    return f"{', '.join(others)} and {last}" if others else last


# Problem 2.3


def formula(fit):
    """Return the lines of p_X(x) = ... in an `alignat`, two terms a line."""
    terms = [
        f"{weight}\\,\\N{{{mean}}}{{{vari}}}" for weight, mean, vari in fit["terms"]
    ]
    pairs = [terms[first : first + 2] for first in range(0, len(terms), 2)]
    # On a line that follows, + takes the width of the = above it.
    lines = " \\\\*\n&\\mathrel{+} ".join(" &&+ ".join(pair) for pair in pairs)
    return rf"k = {fit['k']}:\quad p_X(x) &= {lines}"


def scores(k, fits):
    """Return the cells with the ll and the BIC of a fit; the lowest BIC is bold."""
    ll, score = f"${fits[k]['ll']:.2f}$", f"{fits[k]['bic']:.2f}"
    return ll, rf"\textbf{{{score}}}" if k == best_by_bic(fits) else score


def sound(ends, few):
    """Return the ll of the random starts that are not left out."""
    return [end[0] for end in ends if end and end[1] >= few]


def fit_row(k, handout, tight, best, lls):
    """Return a row of the table of fits; `lls` are those of the random starts."""
    cells = [k]
    for fits in handout, tight:
        if k in fits:
            cells += [fits[k]["iterations"], *scores(k, fits)]
        else:
            cells += [r"\multicolumn{3}{c}{a component collapses}"]
    reached = sum(abs(ll - best[k]["ll"]) < NEAR for ll in lls)
    cells += [*scores(k, best), reached, RESTARTS - len(lls)]
    return " & ".join(map(str, cells)) + r" \\"


def on_the_changes(handout, tight, starts):
    """Yield (name, TeX) of what the log-likelihoods do, and of the fall."""
    claim("EM ends at", set(handout) == set(KS))
    change = {k: handout[k]["ll"] - handout[k - 1]["ll"] for k in KS[1:]}
    claim("rises by", change[3] > 1)
    claim("falls by", change[4] < 0)
    claim("at $k = 5$ and by", 0 < change[5] < 1 < change[6])
    for k in change:
        yield f"change.{k}", f"{abs(change[k]):.2f}"
    yield "iterations.4", handout[4]["iterations"]
    (fall, rise), lls = starts["tols"], starts["by tol"]
    claim("still falls", lls[4][0] < lls[3][0])
    claim("it rises from", lls[4][1] > lls[3][1])
    claim("it hardly rises", 0 < tight[5]["ll"] - tight[3]["ll"] < 2)
    yield "tol.fall", power(fall)
    yield "tol.rise", power(rise)
    for k in (3, 4):
        yield f"fall.{k}", f"{lls[k][0]:.2f}"
        yield f"rise.{k}", f"{lls[k][1]:.2f}"


def across(data, fit, middle):
    """Return the largest share of a component's points on the middle's other side."""
    gammas = em.expectation(data, *fit)
    other_side = (fit[1] < middle)[:, None] != (data < middle)  # (k, n)
    points, crossing = gammas.sum(axis=1), (gammas * other_side).sum(axis=1)
    return max(crossing[points > 0] / points[points > 0])


def on_the_start(data, paths, handout, tight, best):
    """Yield (name, TeX) of why the log-likelihood stands still."""
    low, high, middle = middle_of_gap(data)
    share = (middle - min(data)) / np.ptp(data)
    left = {name: fits[:, 1] < middle for name, fits in paths.items()}  # by iteration
    counts = [sum(left[k][0]) for k in KS]  # at the start
    left_values = sum(data < middle)
    claim("two clusters on either side", sum(best[4]["means"] < middle) == 2)
    floors = [int(round(share, 2) * k) for k in KS]
    claim("the means start on the left", counts == floors)
    stays = {name: (left[name] == left[name][0]).all() for name in left}
    claim("none changes sides", all(stays[k] for k in KS[1:]))
    crossing = max(across(data, fit, middle) for k in KS[1:] for fit in paths[k])
    at_first = {k: across(data, paths[k][0], middle) for k in KS}
    claim("the largest share", crossing == at_first[3] < at_first[2] / 2)
    taken = em.expectation(data, *paths[2][0])[0, data < middle].sum()
    claim("takes all", taken > left_values - 0.5)
    claim("and crosses", counts[0] == 0 and not stays[2])
    one_each = sum(left["spread"][0]) == 1
    claim("of the data none does", one_each and stays["spread"])
    claim("all that the best fit has, too", sum(best[3]["means"] < middle) == 1)
    stuck = handout[4], handout[5], tight[4], tight[5]
    more = all(sum(best[k]["means"] < middle) > 1 for k in (4, 5))
    claim("it is one too few", more)
    claim("it remains alone", all(sum(fit["means"] < middle) == 1 for fit in stuck))
    weights = {f"{fit['weights'][0]:.2f}" for fit in stuck}
    means = {f"{fit['means'][0]:.2f}" for fit in stuck}
    claim("with weight", len(weights) == len(means) == 1)
    pair = abs(handout[6]["means"][:2] - best[4]["means"][:2])
    claim("two start on the left", counts[4] == 2 and max(pair) < 0.1)
    yield "gap.low", f"{low:.2f}"
    yield "gap.high", f"{high:.2f}"
    yield "gap.percent", f"{100 * share:.0f}"
    yield "gap.share", f"{share:.2f}"
    yield "left.values", left_values
    yield "right.values", len(data) - left_values
    yield "left.means", enumerate_words(counts)
    yield "across", f"{100 * crossing:.0f}"
    yield "across.2", f"{100 * at_first[2]:.0f}"
    yield "last", LAST
    yield "merged.weight", weights.pop()
    yield "merged.mean", means.pop()


def by_count(ends):
    """Return {means left of the gap: the ll of the starts with so many, for each tol}.

    A start with a mean next to the middle of the gap is left out.
    """
    lls = {}
    for end in ends:
        if end["nearest"] > MARGIN:
            lls.setdefault(end["left"], []).append(end["ll"])
    return {left: list(zip(*lls[left])) for left in sorted(lls)}


def finite(lls):
    """Return the ll of the starts that do not collapse, sorted."""
    return sorted(ll for ll in lls if ll is not None)


def on_other_starts(data, paths, starts):
    """Yield (name, TeX) of the starts that show that the count decides."""
    spread, centres = starts["spread"], starts["centres"]
    claim("two of them left of the middle", spread["left"] == 2)
    claim("one of them on the left", centres["left"] == 1)
    claim("lead with", spread["ll"][0] > centres["ll"][0] + 50)
    for ends in starts["shifted"].values():
        lls = by_count(ends)
        claim("the count on the left decides", set(lls) == {1, 2})
        limits = [finite(one)[-1] + 50 for one in lls[1]]
        above = [finite(two)[0] > limit for two, limit in zip(lls[2], limits)]
        claim("the count on the left decides", all(above))
        one = [end["ll"] for end in ends if end["left"] == 1 and None not in end["ll"]]
        slow = [early < limits[0] < late for early, late in one]
        claim("nearer ones can cross, slowly", any(slow))
    middle = middle_of_gap(data)[2]
    places = {k: paths[k][0, 1] - middle for k in KS}
    near = {k for k in KS if min(abs(places[k])) < MARGIN}
    nearest = {f"{-max(places[k][places[k] < 0]):.2f}" for k in near}
    claim("has a mean only", near == {3, 6} and len(nearest) == 1)
    yield "spread.ll", f"{spread['ll'][0]:.2f}"
    yield "spread.iterations", spread["iterations"]
    yield "centres.ll", f"{centres['ll'][0]:.2f}"
    yield "shifts", starts["steps"]
    yield "margin", MARGIN
    yield "nearest", nearest.pop()


def span(lls):
    """Return the lowest and the highest ll, and how many starts collapse, as TeX."""
    ordered, collapses = finite(lls), lls.count(None)
    ends = dict.fromkeys(f"${ll:.2f}$" for ll in (ordered[0], ordered[-1]))
    text = " to ".join(ends)
    return f"{text} ({collapses} collapse)" if collapses else text


def shift_rows(starts):
    """Return the rows of the table of shifted starts."""
    rows = []
    for k, ends in starts["shifted"].items():
        cells = [f"{k}"]
        for lls in by_count(ends).values():
            cells += [f"{len(lls[0])}", *map(span, lls)]
        rows.append(" & ".join(cells) + r" \\")
    return "\n".join(rows)


def on_the_collapse(data, tight, message):
    """Yield (name, TeX) of the error message of the handout's start at k = 6."""
    pattern = r"component (\d+) collapsed onto the value (\S+) in iteration (\d+)"
    found = re.search(f"k = 6: {pattern}", message)
    claim("collapses onto the single", found and set(tight) == {2, 3, 4, 5})
    claim("the largest of the data", float(found[2]) == data.max())
    yield "collapse.component", found[1]
    yield "collapse.value", found[2]
    yield "collapse.iteration", found[3]


# Problem 2.4


def shares(data, fit, centres):
    """Return the mean responsibility of each component for the values of each cluster.

    A cluster is the values that are nearest to its centre. -> (k, clusters)
    """
    gammas = em.expectation(data, fit["weights"], fit["means"], fit["varis"])
    cluster = np.argmin(abs(centres[:, None] - data), axis=0)
    means = [gammas[:, cluster == i].mean(axis=1) for i in range(len(centres))]
    return np.transpose(means)


def peaks(counts):
    """Return the places of the peaks of a histogram."""
    signs = np.sign(np.diff([0, *counts, 0]))
    places = np.flatnonzero(signs)  # where it rises or falls
    falls = signs[places[:-1]] > signs[places[1:]]
    return places[1:][falls] - 1


def peak_counts(data, *widths):
    """Return the numbers of peaks of histograms with bins of these or medium widths."""
    found = set()
    for width in np.linspace(min(widths), max(widths), 9):
        for first in np.linspace(0, 1, 10, endpoint=False):  # where the bins begin
            edges = np.arange(min(data) - first * width, max(data) + 2 * width, width)
            counts = np.histogram(data, edges)[0]
            found.add(len(peaks(counts)))
    return found


def on_the_clusters(data, bars, handout, best):
    """Yield (name, TeX) of where the clusters are, and what covers them."""
    centres = best[4]["means"]
    covers = {k: shares(data, handout[k], centres) > 0.9 for k in KS}
    claim("covers the three leftmost", covers[2][0, :3].all())
    claim("the two leftmost", all(covers[k][0, :2].all() for k in (3, 4, 5)))
    rightmost = shares(data, handout[6], centres)[3:, 3]
    alone = covers[6].any(axis=1).tolist() == [True] * 3 + [False] * 3
    claim("separates all four", alone and sum(rightmost) > 0.9)
    right = sum(handout[6]["weights"][3:])
    claim("a quarter of the data", abs(right - 1 / 4) < 0.01)
    one_each = shares(data, best[4], centres).diagonal()
    claim("the fit with $k = 4$ has", min(one_each) > 0.9)
    claim("It has four peaks", peak_counts(data, *BINS) == {4})
    claim("wider ones can merge", min(peak_counts(data, BINS[1] + 0.2)) < 4)
    claim("narrower ones split", max(peak_counts(data, BINS[0] - 0.2)) > 4)
    densities, edges = bars
    places = (edges[1:] + edges[:-1])[peaks(densities)] / 2
    of_cluster = np.argmin(abs(centres[:, None] - places), axis=0).tolist()
    claim("as in Figure", of_cluster == [0, 1, 2, 2, 3])
    for i, centre in enumerate(centres, 1):
        yield f"centre.{i}", f"{centre:.1f}"
    yield "right.weight", f"{right:.3f}"
    yield "bins.narrow", BINS[0]
    yield "bins.wide", BINS[1]


def on_bic(n, best, few, ends):
    """Yield (name, TeX) of which k has the lowest BIC, and by how much.

    `ends` are those of many random starts for each k.
    """
    names = "handout", f" of {RESTARTS}"
    claim("The last series", all(best[k]["start"].endswith(names) for k in KS))
    needed = 1.5 * math.log(n)
    claim("four components have the lowest", best_by_bic(best) == 4)
    lls = {k: max(sound(ends[k], few)) for k in KS}
    same = max(abs(lls[k] - best[k]["ll"]) for k in (3, 4))
    claim("the best of restarts the fourth", same < NEAR)
    gain = {k: lls[k] - lls[k - 1] for k in KS[1:]}
    claim("the fifth and the sixth", gain[4] > needed > max(gain[5], gain[6]))
    scores = {k: bic(k, n, lls[k]) for k in KS}
    claim("is lowest with four", min(scores, key=scores.get) == 4)
    kept = {k: bic(k, n, max(sound(ends[k], 0))) for k in KS}
    claim("changes nothing", min(kept, key=kept.get) == 4)
    needles = {k: n * best[k]["weights"][best[k]["varis"] < 0.01] for k in KS}
    claim("needles at", [len(needles[k]) for k in KS] == [0, 0, 0, 1, 2])
    yield "gain.needed", f"{needed:.2f}"
    for k in (4, 5, 6):
        yield f"gain.{k}", f"{gain[k]:.2f}"
        yield f"bic.{k}", f"{scores[k]:.2f}"
    for k in (5, 6):
        yield f"kept.bic.{k}", f"{kept[k]:.2f}"
        points = enumerate_words(f"{points:.1f}" for points in sorted(needles[k]))
        yield f"needles.{k}", points


def on_the_spike(n, best, few, spike):
    """Yield (name, TeX) of a fifth component on two values."""
    low, high = spike["pair"]
    i = int(np.argmin(spike["varis"]))
    points, sd = n * spike["weights"][i], spike["varis"][i] ** 0.5
    claim("It can end at a finite spike", low < spike["means"][i] < high and sd > 0)
    claim("EM narrows it", sd < spike["start sd"])
    claim("that two values", abs(points - 2) < 0.01)
    claim("both kinds are left out", points < few < 3)
    claim("set by hand above", bic(5, n, spike["ll"]) < best[4]["bic"])
    digits, exponent = f"{sd:.1e}".split("e")
    yield "pair.low", f"{low:.6f}"
    yield "pair.high", f"{high:.6f}"
    yield "spike.start", spike["start sd"]
    yield "spike.sd", rf"{digits} \cdot 10^{{{int(exponent)}}}"
    yield "spike.ll", f"{spike['ll']:.2f}"
    yield "spike.bic", f"{bic(5, n, spike['ll']):.2f}"


def heldout_lls(heldout):
    """Return the held-out log-likelihoods: {k: those of each split}."""
    return {k: np.sum(splits, axis=1) for k, splits in heldout["ll"].items()}


def on_new_data(heldout):
    """Yield (name, TeX) of the held-out log-likelihoods."""
    sizes = {len(split) for splits in heldout["ll"].values() for split in splits}
    claim("into ten parts", sizes == {10})
    lls = heldout_lls(heldout)
    means = {k: lls[k].mean() for k in KS}
    claim("four predict held-out data best", max(means, key=means.get) == 4)
    wins = lls[4] == np.max([*lls.values()], axis=0)
    claim("is highest at $k = 4$", wins.all())
    yield "heldout.restarts", heldout["restarts"]
    yield "heldout.tol", power(heldout["tol"])
    yield "heldout.splits", len(wins)


def heldout_rows(heldout):
    """Return the rows of the table of held-out log-likelihoods, means over splits."""
    lls = [ll.mean() for ll in heldout_lls(heldout).values()]
    cells = [f"${ll:.1f}$" for ll in lls]
    cells[np.argmax(lls)] = rf"\boldmath${max(lls):.1f}$"
    head = " & ".join(map(str, KS))
    return f"$k$ & {head} \\\\\n\\midrule\n$\\loglik$ & {' & '.join(cells)} \\\\"


def on_the_truth(best):
    """Yield (name, TeX) of the fit beside the mixture that the data were drawn from."""
    sds = np.array(SDS)
    means_off = (best["means"] - MEANS) / (sds / SIZE**0.5)
    varis_off = (best["varis"] - sds**2) / (sds**2 * (2 / SIZE) ** 0.5)
    worst = np.abs([means_off, varis_off]).max()
    claim("is off by more than", worst < 2.5)
    yield "worst", f"{worst:.2f}"
    yield "size", SIZE
    yield "true.means", enumerate_words(MEANS)
    yield "true.varis", enumerate_words(f"{vari:g}" for vari in sds**2)


def read():
    """Return all that the writeup rests on, by name."""
    fits = HERE / "fits"
    data = np.loadtxt(ROOT / "data.txt")
    paths = {k: path(data, k, 1e-6, shifted(data, k, 0))[0] for k in KS}
    handout = read_fits(*(fits / f"k{k}.txt" for k in KS))
    mixtures = [
        (fit["weights"], fit["means"], fit["varis"]) for fit in handout.values()
    ]
    return {
        "data": data,
        "bars": load("gmm-visualize").view_of(mixtures, data).bars,
        "paths": paths | {"spread": path(data, 2, 1e-6, spread(data, 2))[0]},
        "handout": handout,
        "tight": read_fits(fits / "tol1e-6" / "k2-6.txt"),
        "best": read_fits(fits / "restarts" / "k2-6.txt"),
        "message": (fits / "tol1e-6" / "k2-6.err").read_text(),
        "starts": read_experiment("starts"),
        "restarts": read_experiment("restarts"),
        "spike": read_experiment("spike"),
        "heldout": read_experiment("heldout"),
    }


def results(
    data, bars, paths, handout, tight, best, message, starts, restarts, spike, heldout
):
    """Yield (name, TeX) of every number in the prose; exit if a sentence is false."""
    n, few = len(data), restarts["few"]
    yield "n", n
    yield "seed", restarts["seed"]
    yield "restarts", RESTARTS
    yield "more", len(restarts["ends"][4])
    yield "tol.tight", power(float(tight[3]["tol"]))
    yield "same", NEAR
    yield from on_the_changes(handout, tight, starts)
    yield from on_the_start(data, paths, handout, tight, best)
    yield from on_other_starts(data, paths, starts)
    yield from on_the_collapse(data, tight, message)
    yield from on_the_clusters(data, bars, handout, best)
    yield from on_bic(n, best, few, restarts["ends"])
    yield from on_the_spike(n, best, few, spike)
    yield from on_new_data(heldout)
    yield from on_the_truth(best[4])


def blocks(handout, tight, best, starts, restarts, heldout, **others):
    """Yield (name, TeX) of the formulas and the rows of the tables."""
    yield "formulas", " \\\\[3pt]\n".join(map(formula, handout.values()))
    rows = []
    for k in KS:
        lls = sound(restarts["ends"][k][:RESTARTS], restarts["few"])
        rows.append(fit_row(k, handout, tight, best, lls))
    yield "fitrows", "\n".join(rows)
    yield "answer", formula(best[4])
    yield "shiftrows", shift_rows(starts)
    yield "heldoutrows", heldout_rows(heldout)


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
