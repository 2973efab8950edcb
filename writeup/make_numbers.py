r"""Write every number of writeup.tex as TeX, from the fits in fits/ and from data.txt.

\newresult{NAME}{VALUE} defines what \result{NAME} prints in the prose; \formulas, \fitrows and
\truerows are the lines of the formulas and the tables.

Usage: python make_numbers.py > numbers.tex
"""

import math
import re
from pathlib import Path

import numpy as np
from make_data import MEANS, SDS, SIZE
from scipy.stats import norm

HERE = Path(__file__).resolve().parent
SETS = {"handout": "", "tight": "tol1e-6", "best": "restarts"}  # and their folders in fits/
WORDS = "no", "one", "two", "three", "four", "five", "six"


def read_fit(path):
    """Return the `key: value` lines of a fit as a dictionary, numbers as float or list of float."""
    fit = dict(line.split(": ", 1) for line in path.read_text().splitlines() if ": " in line)
    for key in ("weights", "means", "varis"):
        fit[key] = [float(word) for word in fit[key].split()]
    for key in ("n", "k", "iterations"):
        fit[key] = int(fit[key])
    for key in ("tol", "ll", "bic"):
        fit[key] = float(fit[key])
    return fit


def read_fits(folder):
    """Return {k: fit} of the fits in a folder, in the order of k."""
    fits = [read_fit(path) for path in folder.glob("k*.txt")]
    return {fit["k"]: fit for fit in sorted(fits, key=lambda fit: fit["k"])}


def digits(number):
    """Return a number to four significant digits, as gmm-em.py rounds it in a formula."""
    return f"{number:#.4g}".rstrip(".")


def power(tol):
    """Return a power of ten as TeX."""
    return "1" if tol == 1 else f"10^{{{math.log10(tol):.0f}}}"


def lowest(fits, key):
    """Return the k of the fit with the least value of `key`."""
    return min(fits, key=lambda k: fits[k][key])


def aic(fit):
    """Return Akaike's criterion, 2 (3k - 1) - 2 ll."""
    return 2 * (3 * fit["k"] - 1) - 2 * fit["ll"]


def formula(fit):
    """Return p_X(x) = ... for an `alignat`, two components a line."""
    triples = zip(fit["weights"], fit["means"], fit["varis"])
    terms = [rf"{digits(w)}\,\N{{{digits(m)}}}{{{digits(v)}}}" for w, m, v in triples]
    lines = [" &&+ ".join(terms[first : first + 2]) for first in range(0, len(terms), 2)]
    # On the lines that follow, + takes the width of the = above it.
    return rf"k = {fit['k']}:\quad p_X(x) &= " + " \\\\*\n&\\mathrel{+} ".join(lines)


def fit_row(k, sets):
    """Return a row of the table of fits: k, then iterations, ll and BIC of each set."""
    cells = [f"{k}"]
    for name, fits in sets.items():
        if k not in fits:
            cells.append(r"\multicolumn{3}{c}{no fit: a component collapses}")
            continue
        if name != "best":  # of many runs, the iterations of one say nothing
            cells.append(f"{fits[k]['iterations']}")
        bic = f"{fits[k]['bic']:.2f}"
        lead = r"\textbf" if k == lowest(fits, "bic") else ""
        cells += [f"${fits[k]['ll']:.2f}$", f"{lead}{{{bic}}}"]
    return " & ".join(cells) + r" \\"


def true_rows(fit):
    """Return the rows of the table of true and fitted parameters, by ascending mean."""
    weight = SIZE / fit["n"]
    fitted = sorted(zip(fit["weights"], fit["means"], fit["varis"]), key=lambda row: row[1])
    for i, (mu, sd, (w, m, v)) in enumerate(zip(MEANS, SDS, fitted), 1):
        cells = f"{weight:.2f} & {w:.3f} & {mu:.1f} & {m:.3f} & {sd**2:.2f} & {v:.3f}"
        yield rf"{i} & {cells} \\"


def on_the_log_likelihoods(handout, tight, best, data, collapse):
    """Yield (name, TeX) for the prose about Problem 2.3; `collapse` is the message at k = 6."""
    last = max(handout)
    fall = next(k for k in handout if k > 2 and handout[k]["ll"] < handout[k - 1]["ll"])
    yield "n", len(data)
    yield "restarts", {re.sub(".* of ", "", fit["start"]) for fit in best.values()}.pop()
    yield "tol.handout", power(handout[last]["tol"])
    yield "tol.tight", power(tight[fall]["tol"])
    yield "fall.from", fall - 1
    yield "fall.to", fall
    yield "fall.by", f"{handout[fall - 1]['ll'] - handout[fall]['ll']:.2f}"
    yield "fall.iterations.handout", handout[fall]["iterations"]
    yield "fall.iterations.tight", tight[fall]["iterations"]
    yield "jump.from", last - 1
    yield "jump.to", last
    yield "jump.by", f"{handout[last]['ll'] - handout[last - 1]['ll']:.2f}"
    yield "merged.weight", f"{handout[fall]['weights'][0]:.2f}"
    yield "merged.mean", f"{handout[fall]['means'][0]:.2f}"
    for name, k in (("jump.from", last - 1), ("jump.to", last)):
        second = data.min() + 2 * (data.max() - data.min()) / k  # the handout's µ_2
        yield f"{name}.second", f"{second:.2f}"
    pattern = r"component (\d+) collapsed onto the value (\S+) in iteration (\d+)"
    names = "collapse.component", "collapse.value", "collapse.iteration"
    yield from zip(names, re.search(pattern, collapse).groups())


def on_the_clusters(handout, tight, best, data):
    """Yield (name, TeX) for the prose about Problem 2.4 and after it."""
    answer, last = lowest(best, "bic"), max(best)
    yield "answer", answer
    yield "answer.word", WORDS[answer]
    yield "answer.ll", f"{best[answer]['ll']:.2f}"
    yield "short", f"{best[answer]['ll'] - tight[answer]['ll']:.2f}"
    for k in range(answer, last + 1):
        yield f"gain.{k}", f"{best[k]['ll'] - best[k - 1]['ll']:.2f}"
    for k in (answer - 1, answer + 1):
        yield f"bic-gap.{k}", f"{best[k]['bic'] - best[answer]['bic']:.1f}"
    # The smallest components of the fits with more of them than the answer, in points.
    extra = {k: sorted(best[k]["weights"])[: k - answer] for k in range(answer + 1, last + 1)}
    yield "spike.fewest", f"{len(data) * min(map(min, extra.values())):.1f}"
    yield "spike.most", f"{len(data) * max(map(max, extra.values())):.1f}"
    pairs = zip(handout[last]["weights"], handout[last]["means"])
    right = [weight for weight, mu in pairs if mu > (MEANS[-2] + MEANS[-1]) / 2]
    yield "right.components", WORDS[len(right)]
    yield "right.weight", digits(sum(right))
    yield "size", SIZE
    trios = zip(sorted(best[answer]["means"]), MEANS, SDS)
    yield "worst-error", f"{max(abs(m - mu) / (sd / SIZE**0.5) for m, mu, sd in trios):.2f}"
    density = np.mean([norm.pdf(data, mu, sd) for mu, sd in zip(MEANS, SDS)], axis=0)
    yield "true.ll", f"{np.log(density).sum():.2f}"
    yield "bic-word.handout", WORDS[lowest(handout, "bic")]
    yield "bic-word.tight", WORDS[lowest(tight, "bic")]
    yield "aic-k", min(best, key=lambda k: aic(best[k]))


def main():
    """Print numbers.tex."""
    sets = {name: read_fits(HERE / "fits" / folder) for name, folder in SETS.items()}
    data = np.loadtxt(HERE.parent / "data.txt")
    collapse = (HERE / "fits" / "tol1e-6" / "k6.err").read_text()
    print("% Generated by make_numbers.py, do not edit.")
    prose = [
        *on_the_log_likelihoods(*sets.values(), data, collapse),
        *on_the_clusters(*sets.values(), data),
    ]
    for name, value in prose:
        print(rf"\newresult{{{name}}}{{{value}}}")
    blocks = {
        "formulas": " \\\\[4pt]\n".join(map(formula, sets["handout"].values())),
        "fitrows": "\n".join(fit_row(k, sets) for k in sets["handout"]),
        "truerows": "\n".join(true_rows(sets["best"][lowest(sets["best"], "bic")])),
    }
    for name, lines in blocks.items():
        print(f"\\newcommand{{\\{name}}}{{%\n{lines}}}")


if __name__ == "__main__":
    main()
