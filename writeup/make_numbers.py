r"""Write every number of writeup.tex as TeX, or say which of its sentences the data contradict.

\newresult{NAME}{VALUE} defines what \result{NAME} prints in the prose; \formulas, \fitrows and so
on are the lines of the formulas and the tables.

Usage: python make_numbers.py > numbers.tex
"""

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
from make_data import MEANS, SDS, SIZE
from make_experiments import ROOT, em, path, widest_gap

HERE = Path(__file__).resolve().parent
KS = 2, 3, 4, 5, 6
NEAR = 1e-3  # two fits with ll this close are the same
FEW = 5  # a component with fewer points is set aside
REACH = 0.4  # values this close to a mean are counted as near it


def claim(words, true):
    """Exit with the sentence of writeup.tex that has these words, unless it is true of the data."""
    if not true:
        text = " ".join((HERE / "writeup.tex").read_text().split())
        sentence = next(part for part in re.split(r"(?<=[.:]) ", text) if words in part)
        sys.exit(f"make_numbers.py: {words!r} is not true of data.txt: writeup.tex: {sentence}")


def read_fits(*files):
    """Return {k: fit}, components in ascending order of the means, of what gmm-em.py printed."""
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
    return f"{', '.join(others)} and {last}"


def ll_of_the_truth(data):
    """Return the log-likelihood of the mixture that the data were drawn from."""
    weights = [1 / len(MEANS)] * len(MEANS)
    return em.log_likelihood(data, weights, MEANS, np.square(SDS))


# Problem 2.3


def formula(fit):
    """Return the lines of p_X(x) = ... in an `alignat`, two terms a line, on one page."""
    terms = [rf"{weight}\,\N{{{mean}}}{{{vari}}}" for weight, mean, vari in fit["terms"]]
    lines = [" &&+ ".join(terms[first : first + 2]) for first in range(0, len(terms), 2)]
    # On a line that follows, + takes the width of the = above it.
    return rf"k = {fit['k']}:\quad p_X(x) &= " + " \\\\*\n&\\mathrel{+} ".join(lines)


def scores(k, fits):
    """Return the cells with the ll and the BIC of one of the fits; the lowest BIC is bold."""
    ll, score = f"${fits[k]['ll']:.2f}$", f"{fits[k]['bic']:.2f}"
    return ll, rf"\textbf{{{score}}}" if k == best_by_bic(fits) else score


def fit_row(k, handout, tight, best, ends):
    """Return a row of the table of fits; `ends` are those of the random starts with this k."""
    cells = [k]
    for fits in handout, tight:
        if k in fits:
            cells += [fits[k]["iterations"], *scores(k, fits)]
        else:
            cells += [r"\multicolumn{3}{c}{a component collapses}"]
    reached = sum(abs(end[0] - best[k]["ll"]) < NEAR for end in ends if end)
    cells += [*scores(k, best), reached, ends.count(None)]
    return " & ".join(map(str, cells)) + r" \\"


def on_the_changes(handout, tight, best):
    """Yield (name, TeX) of what the log-likelihoods do."""
    claim("EM ends at", set(handout) == set(KS))
    change = {k: handout[k]["ll"] - handout[k - 1]["ll"] for k in KS[1:]}
    claim("it rises by", change[3] > 1)
    claim("falls by", change[4] < 0)
    claim("gains only", 0 < change[5] < 1)
    claim("and rises by", change[6] > 1)
    for k in change:
        yield f"change.{k}", f"{abs(change[k]):.2f}"
    short = {k: best[k]["ll"] - handout[k]["ll"] for k in KS}
    claim("the best fit that restarts find", abs(short[3]) < NEAR)
    claim("$5$ and~$6$ it ends", all(short[k] > 1 for k in KS if k != 3))
    for k in short:
        if k != 3:
            yield f"short.{k}", f"{short[k]:.2f}"
    claim("without a fit", set(tight) == {2, 3, 4, 5})
    claim("there is no fall", all(tight[k]["ll"] < tight[k + 1]["ll"] for k in (2, 3, 4)))
    yield "iterations.4", handout[4]["iterations"]
    yield "iterations.tight.4", tight[4]["iterations"]
    yield "ll.tight.3", f"{tight[3]['ll']:.2f}"
    yield "ll.tight.4", f"{tight[4]['ll']:.2f}"
    yield "short.tight.4", f"{best[4]['ll'] - tight[4]['ll']:.2f}"


def on_the_start(data, paths, handout, tight, best):
    """Yield (name, TeX) of why the log-likelihood stands still."""
    true_ll = ll_of_the_truth(data)
    claim("that it is poor", true_ll > tight[4]["ll"] + 50)
    low, high = widest_gap(data)
    middle = (low + high) / 2
    left = {k: paths[k] < middle for k in KS}  # by iteration and component
    counts = {k: sum(left[k][0]) for k in KS}  # at the start
    left_values = sum(data < middle)
    claim("left half of the data", abs(left_values / len(data) - 1 / 2) < 0.02)
    claim("one component on each side", sum(best[2]["means"] < middle) == 1)
    claim("in two clusters", sum(best[4]["means"] < middle) == 2)
    claim("none changes sides", all((left[k] == left[k][0]).all() for k in KS[1:]))
    claim("one component is alone", counts[3] == counts[4] == counts[5] == 1)
    pair = abs(handout[6]["means"][:2] - best[4]["means"][:2])
    claim("two means start on the left", counts[6] == 2 and max(pair) < 0.1)
    yield "true.ll", f"{true_ll:.2f}"
    yield "gap.low", f"{low:.2f}"
    yield "gap.high", f"{high:.2f}"
    yield "left.values", left_values
    yield "left.means", enumerate_words(counts.values())
    weights = {f"{handout[k]['weights'][0]:.2f}" for k in (3, 4, 5)}
    means = {f"{handout[k]['means'][0]:.2f}" for k in (3, 4, 5)}
    claim("always with weight", len(weights) == len(means) == 1)
    yield "merged.weight", weights.pop()
    yield "merged.mean", means.pop()


def on_the_collapse(data, message):
    """Yield (name, TeX) of the error message of the handout's start at k = 6."""
    pattern = r"component (\d+) collapsed onto the value (\S+) in iteration (\d+)"
    found = re.search(r"k = 6: .*" + pattern, message)
    claim("collapses onto the single value", found)
    claim("the largest of the data", float(found[2]) == data.max())
    yield "collapse.component", found[1]
    yield "collapse.value", found[2]
    yield "collapse.iteration", found[3]


# Problem 2.4


def on_the_clusters(data, handout, best):
    """Yield (name, TeX) of where the clusters are, and what separates them."""
    centres = best[4]["means"]
    middles = (centres[1:] + centres[:-1]) / 2
    owned = {k: np.histogram(handout[k]["means"], [-np.inf, *middles, np.inf])[0] for k in KS}
    claim("a single component for the two leftmost", all(sum(owned[k][:2]) == 1 for k in KS[:4]))
    claim("spends three components on the rightmost", list(owned[6]) == [1, 1, 1, 3])
    right = sum(handout[6]["weights"][3:])
    claim("a quarter of the data", abs(right - 1 / 4) < 0.01)
    near = [sum(abs(data - x) < REACH) for x in centres]
    between = [sum(abs(data - x) < REACH) for x in middles]
    claim("gather around", max(between) < min(near) / 3)
    for i, centre in enumerate(centres, 1):
        yield f"centre.{i}", f"{centre:.1f}"
    yield "right.weight", f"{right:.4f}"
    yield "reach", REACH
    yield "near", enumerate_words(near)
    yield "between", enumerate_words(between)


def on_bic(n, handout, tight, best, ends):
    """Yield (name, TeX) of which k has the lowest BIC, and by how much."""
    needed = 1.5 * math.log(n)
    gain = {k: best[k]["ll"] - best[k - 1]["ll"] for k in KS[1:]}
    claim("is lowest at $k = 4$", best_by_bic(best) == 4)
    claim("both fall short", max(gain[5], gain[6]) < needed)
    yield "gain.needed", f"{needed:.2f}"
    for k in (4, 5, 6):
        yield f"gain.{k}", f"{gain[k]:.2f}"
    for k in (3, 5):
        yield f"bic-gap.{k}", f"{best[k]['bic'] - best[4]['bic']:.2f}"
    large = {k: max(end[0] for end in ends[k] if end and end[1] >= FEW) for k in KS}
    claim("says four again", min(KS, key=lambda k: bic(k, n, large[k])) == 4)
    smallest = [n * min(best[k]["weights"]) for k in (5, 6)]
    claim("do not) end at", max(smallest) < FEW)
    yield "few", FEW
    yield "large.5", f"{large[5]:.2f}"
    yield "large.6", f"{large[6]:.2f}"
    claim("would say six", best_by_bic(handout) == 6)
    claim("and three with", best_by_bic(tight) == 3)


def on_the_spike(n, best, ends, spike):
    """Yield (name, TeX) of a fifth component that BIC takes for a gain."""
    low, high = spike["pair"]
    i = int(np.argmin(spike["varis"]))
    stays = low < spike["means"][i] < high and abs(n * spike["weights"][i] - 2) < 0.01
    claim("stays on these two values", stays)
    claim("of four components", bic(5, n, spike["ll"]) < best[4]["bic"])
    claim("none of the random starts", max(end[0] for end in ends[5] if end) < spike["ll"] - 1)
    sd, exponent = f"{spike['varis'][i] ** 0.5:.1e}".split("e")
    yield "pair.low", f"{low:.6f}"
    yield "pair.high", f"{high:.6f}"
    yield "spike.start", spike["start sd"]
    yield "spike.sd", rf"{sd} \cdot 10^{{{int(exponent)}}}"
    yield "answer.bic", f"{best[4]['bic']:.2f}"
    yield "spike.ll", f"{spike['ll']:.2f}"
    yield "spike.bic", f"{bic(5, n, spike['ll']):.2f}"


def on_new_data(heldout):
    """Yield (name, TeX) of the held-out log-likelihoods."""
    lls = {k: np.sum(splits) for k, splits in heldout["ll"].items()}
    ten_parts = all(np.shape(splits) == (3, 10) for splits in heldout["ll"].values())
    claim("averaged over three such splits", ten_parts)
    claim("On average it is highest at $k = 4$", max(lls, key=lls.get) == 4)
    fourth, fifth = (np.sum(heldout["ll"][k], axis=1) for k in (4, 5))
    claim("ahead in one of the three splits", sum(fifth > fourth) == 1)
    yield "heldout.restarts", heldout["restarts"]
    yield "heldout.tol", power(heldout["tol"])


def heldout_rows(heldout):
    """Return the rows of the table of held-out log-likelihoods, means over the repetitions."""
    lls = [np.sum(splits) / len(splits) for splits in heldout["ll"].values()]
    cells = [f"${ll:.1f}$" for ll in lls]
    cells[np.argmax(lls)] = rf"$\mathbf{{{max(lls):.1f}}}$"
    head = " & ".join(map(str, heldout["ll"]))
    return f"$k$ & {head} \\\\\n\\midrule\n$\\loglik$ & {' & '.join(cells)} \\\\"


def errors(best):
    """Return by how many standard errors the means and the variances of the best fit are off."""
    sds = np.array(SDS)
    means = (best["means"] - MEANS) / (sds / SIZE**0.5)
    varis = (best["varis"] - sds**2) / (sds**2 * (2 / SIZE) ** 0.5)
    return means, varis


def true_rows(best):
    """Return the rows of the table of true and fitted parameters."""
    means_off, varis_off = errors(best)
    rows = []
    for i in range(len(MEANS)):
        weight = f"{1 / len(MEANS):.2f} & {best['weights'][i]:.3f}"
        mean = f"{MEANS[i]:.1f} & {best['means'][i]:.3f} & ${means_off[i]:+.2f}$"
        vari = f"{SDS[i] ** 2:.2f} & {best['varis'][i]:.3f} & ${varis_off[i]:+.2f}$"
        rows.append(rf"{i + 1} & {weight} & {mean} & {vari} \\")
    return "\n".join(rows)


def on_the_truth(data, best):
    """Yield (name, TeX) of the fit beside the mixture that the data were drawn from."""
    claim("because the parameters are fitted", ll_of_the_truth(data) < best["ll"])
    worst = np.abs(errors(best)).max()
    claim("as one expects of a sample", worst < 2.5)
    yield "worst", f"{worst:.2f}"
    yield "answer.ll", f"{best['ll']:.2f}"
    yield "size", SIZE


def read():
    """Return all that the writeup rests on, by name."""
    fits = HERE / "fits"
    data = np.loadtxt(ROOT / "data.txt")
    return {
        "data": data,
        "paths": {k: path(data, k, 1e-6) for k in KS},
        "handout": read_fits(*(fits / f"k{k}.txt" for k in KS)),
        "tight": read_fits(fits / "tol1e-6" / "k2-6.txt"),
        "best": read_fits(fits / "restarts" / "k2-6.txt"),
        "message": (fits / "tol1e-6" / "k2-6.err").read_text(),
        "restarts": read_experiment("restarts"),
        "spike": read_experiment("spike"),
        "heldout": read_experiment("heldout"),
    }


def results(data, paths, handout, tight, best, message, restarts, spike, heldout):
    """Yield (name, TeX) of every number in the prose; exit where a sentence is not true."""
    n = len(data)
    ends = restarts["ends"]
    yield "n", n
    yield "seed", restarts["seed"]
    yield "restarts", restarts["restarts"]
    yield "tol.tight", power(restarts["tol"])
    yield "same", NEAR
    yield from on_the_changes(handout, tight, best)
    yield from on_the_start(data, paths, handout, tight, best)
    yield from on_the_collapse(data, message)
    yield from on_the_clusters(data, handout, best)
    yield from on_bic(n, handout, tight, best, ends)
    yield from on_the_spike(n, best, ends, spike)
    yield from on_new_data(heldout)
    yield from on_the_truth(data, best[4])


def blocks(handout, tight, best, restarts, heldout, **others):
    """Yield (name, TeX) of the formulas and the rows of the tables."""
    yield "formulas", " \\\\[3pt]\n".join(map(formula, handout.values()))
    rows = [fit_row(k, handout, tight, best, restarts["ends"][k]) for k in KS]
    yield "fitrows", "\n".join(rows)
    yield "heldoutrows", heldout_rows(heldout)
    yield "truerows", true_rows(best[4])


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
