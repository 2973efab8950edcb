"""The saved results are what the scripts print, and the writeup says what they say."""

import copy
import json
import math
import re
import sys
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import norm

KS = range(2, 7)
# The mixture that data.txt was drawn from, written out so that a change of make_data.py shows.
WEIGHTS, MEANS, SDS, SIZE = [0.25] * 4, [2, 4.5, 9, 14], [0.6, 0.3, 0.6, 1.2], 100


def parse(text):
    """Return the fits in a text, {k: fit}, components in the order in which they are printed."""
    fits = {}
    for block in re.split(r"(?m)^(?=data: )", text)[1:]:
        fit = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        lists = {key: np.array(fit[key].split(), float) for key in ("weights", "means", "varis")}
        numbers = {key: float(fit[key]) for key in ("n", "k", "tol", "iterations", "ll", "bic")}
        fits[int(fit["k"])] = fit | lists | numbers | {"formula": block.splitlines()[-1]}
    return fits


def log_likelihood(data, weights, means, varis):
    return np.log(norm.pdf(np.asarray(data)[:, None], means, np.sqrt(varis)) @ weights).sum()


def bic(k, ll):
    return (3 * k - 1) * math.log(400) - 2 * ll


def off(fit):
    """Return by how many standard errors the means and the variances of a fit are off the truth."""
    means, varis = np.transpose(sorted(zip(fit["means"], fit["varis"])))
    sds = np.array(SDS)
    return (means - MEANS) / sds * SIZE**0.5, (varis / sds**2 - 1) * (SIZE / 2) ** 0.5


@pytest.fixture(scope="module")
def saved(root):
    """Return what a saved result holds."""
    return lambda name: (root / "writeup" / name).read_text()


@pytest.fixture(scope="module")
def fits(saved):
    """The saved fits, {k: fit} for each series."""
    return {
        "handout": parse("".join(saved(f"fits/k{k}.txt") for k in KS)),
        "tight": parse(saved("fits/tol1e-6/k2-6.txt")),
        "best": parse(saved("fits/restarts/k2-6.txt")),
    }


@pytest.fixture(scope="module")
def experiment(saved):
    return lambda name: json.loads(saved(f"experiments/{name}.json"))


@pytest.fixture(scope="module")
def data(root):
    return np.loadtxt(root / "data.txt")


@pytest.fixture(scope="module")
def tex(saved):
    """The source of the writeup, without comments."""
    return re.sub(r"(?m)(?<!\\)%.*$", "", saved("writeup.tex"))


@pytest.fixture(scope="module")
def script(root):
    """make_numbers.py as a module."""
    sys.path.insert(0, str(root / "writeup"))
    import make_numbers

    yield make_numbers
    sys.path.remove(str(root / "writeup"))


@pytest.fixture(scope="module")
def inputs(script):
    return script.read()


@pytest.fixture(scope="module")
def results(script, inputs):
    return {name: str(value) for name, value in script.results(**inputs)}


@pytest.fixture(scope="module")
def blocks(script, inputs):
    return dict(script.blocks(**inputs))


# The saved results are those of the scripts


def test_data_is_what_make_data_prints(root, run):
    assert run("writeup/make_data", text=False).stdout == (root / "data.txt").read_bytes()


@pytest.mark.parametrize("name, tol", [("handout", "1"), ("tight", "1e-6")])
def test_the_fits_from_the_handouts_start_are_the_saved_ones(name, tol, fits, run, saved):
    result = run("gmm-em", "data.txt", "2-6", tol)
    fresh = parse(result.stdout)
    assert fresh.keys() == fits[name].keys()
    for k, fit in fits[name].items():
        for key in ("data", "n", "tol", "start", "iterations", "formula"):
            assert fresh[k][key] == fit[key]
        for key in ("weights", "means", "varis", "ll", "bic"):
            assert fresh[k][key] == pytest.approx(fit[key], rel=1e-6)
    assert result.stderr == (saved("fits/tol1e-6/k2-6.err") if name == "tight" else "")


def test_a_saved_fit_has_the_ll_and_bic_of_its_parameters(fits, data):
    for series in fits.values():
        for k, fit in series.items():
            ll = log_likelihood(data, fit["weights"], fit["means"], fit["varis"])
            assert fit["ll"] == pytest.approx(ll, abs=1e-8)
            assert fit["bic"] == pytest.approx(bic(k, ll), abs=1e-8)


def test_the_best_of_restarts_is_the_best_of_the_saved_ends(fits, experiment, em, data):
    restarts = experiment("restarts")
    assert (restarts["seed"], restarts["restarts"], restarts["tol"]) == (0, 50, 1e-6)
    for k in KS:
        ends, best = restarts["ends"][str(k)], fits["best"][k]
        assert len(ends) == 50
        assert best["ll"] == pytest.approx(max(end[0] for end in ends if end), abs=1e-6)
        starts = list(em.starts(data, k, 50, 0))
        found = em.train(data, k, 1e-6, dict(starts)[best["start"]])
        assert found[3] == pytest.approx(best["ll"], abs=1e-6)
        for (_, start), end in zip(starts[1:4], ends):
            try:
                weights, *_, ll = em.train(data, k, 1e-6, start)
                assert [ll, 400 * min(weights)] == pytest.approx(end, rel=1e-4)
            except em.Collapse:
                assert end is None


def test_a_fold_of_the_held_out_data_has_the_saved_ll(experiment, em, data):
    heldout = experiment("heldout")
    parts = np.split(np.random.default_rng(0).permutation(data), 10)
    rest = np.concatenate(parts[:-1])
    for k in (2, 3):
        found = [em.train(rest, k, 0.001, start) for _, start in em.starts(rest, k, 40, 0)]
        ll = log_likelihood(parts[-1], *max(found, key=lambda fit: fit[3])[:3])
        assert heldout["ll"][str(k)][0][-1] == pytest.approx(ll, abs=1e-6)
    assert np.shape([*heldout["ll"].values()]) == (5, 3, 10)


def test_the_spike_is_where_em_stays(experiment, em, data):
    spike = experiment("spike")
    fit = [np.array(spike[key]) for key in ("weights", "means", "varis")]
    assert spike["ll"] == pytest.approx(log_likelihood(data, *fit), abs=1e-6)
    after = em.maximization(data, em.expectation(data, *fit))
    assert np.ravel(after) == pytest.approx(np.ravel(fit), rel=1e-3)
    closest = min(zip(np.diff(sorted(data)), sorted(data), sorted(data)[1:]))
    assert spike["pair"] == list(closest[1:])


# The numbers


def test_the_formulas_are_those_of_gmm_em(fits, blocks):
    number = r"([\d.]+)"
    for k, formula in zip(KS, blocks["formulas"].split("k = ")[1:], strict=True):
        terms = re.findall(rf"{number}\\,\\N\{{{number}\}}\{{{number}\}}", formula)
        printed = fits["handout"][k]["formula"]
        assert terms == re.findall(rf"{number} N\(x \| {number}, {number}\)", printed)
        assert (int(formula[0]), len(terms)) == (k, k)


def test_the_table_is_that_of_the_fits(fits, blocks, experiment):
    lows = [min(series.values(), key=lambda fit: fit["bic"]) for series in fits.values()]
    for k, row in zip(KS, blocks["fitrows"].splitlines(), strict=True):
        expected = [k]
        for name, series in fits.items():
            if k in series:
                keys = ("ll", "bic") if name == "best" else ("iterations", "ll", "bic")
                expected += [round(series[k][key], 2) for key in keys]
        ends = experiment("restarts")["ends"][str(k)]
        reached = [end for end in ends if end and end[0] > fits["best"][k]["ll"] - 1e-3]
        expected += [len(reached), ends.count(None)]
        row = row.replace(r"\multicolumn{3}", "")
        assert [float(number) for number in re.findall(r"-?[\d.]+", row)] == expected
        bold = [f"{fit['bic']:.2f}" for fit in lows if fit["k"] == k]
        assert re.findall(r"\\textbf\{(.*?)\}", row) == bold


def test_the_numbers_in_the_prose(fits, experiment, data, results):
    handout, tight, best = fits.values()
    restarts, spike, heldout = map(experiment, ("restarts", "spike", "heldout"))
    ll = {name: {k: fit["ll"] for k, fit in series.items()} for name, series in fits.items()}
    values = sorted(data.tolist())
    gap, low, high = max((b - a, a, b) for a, b in pairwise(values))
    spans = [(values[-1] - values[0]) / k for k in KS]
    lefts = [int((low + gap / 2 - values[0]) / span) for span in spans]
    centres = sorted(best[4]["means"].tolist())

    def near(places):
        return [sum(x - 0.4 < y < x + 0.4 for y in values) for x in places]

    def large(k):
        return max(end[0] for end in restarts["ends"][str(k)] if end and end[1] >= 5)

    cents = {f"change.{k}": abs(ll["handout"][k] - ll["handout"][k - 1]) for k in KS[1:]}
    cents |= {f"short.{k}": ll["best"][k] - ll["handout"][k] for k in (2, 4, 5, 6)}
    cents |= {f"gain.{k}": ll["best"][k] - ll["best"][k - 1] for k in (4, 5, 6)}
    cents |= {f"bic-gap.{k}": best[k]["bic"] - best[4]["bic"] for k in (3, 5)}
    cents |= {f"ll.tight.{k}": ll["tight"][k] for k in (3, 4)}
    cents |= {"short.tight.4": ll["best"][4] - ll["tight"][4], "answer.ll": ll["best"][4]}
    cents |= {"true.ll": log_likelihood(data, WEIGHTS, MEANS, np.square(SDS))}
    cents |= {"gap.low": low, "gap.high": high, "large.5": large(5), "large.6": large(6)}
    cents |= {"merged.weight": handout[4]["weights"][0], "merged.mean": handout[4]["means"][0]}
    cents |= {
        "spike.ll": spike["ll"],
        "spike.bic": bic(5, spike["ll"]),
        "answer.bic": best[4]["bic"],
    }
    cents |= {"worst": np.abs(off(best[4])).max(), "gain.needed": 1.5 * math.log(400)}
    words = {name: f"{value:.2f}" for name, value in cents.items()}
    words |= {f"centre.{i}": f"{x:.1f}" for i, x in enumerate(centres, 1)}
    words |= {"n": 400, "size": SIZE, "seed": restarts["seed"], "restarts": restarts["restarts"]}
    words |= {"same": 0.001, "few": 5, "reach": 0.4, "spike.start": spike["start sd"]}
    words |= {"iterations.4": 3, "iterations.tight.4": 174, "heldout.restarts": heldout["restarts"]}
    words |= {"left.means": lefts, "left.values": sum(x < low + gap / 2 for x in values)}
    words |= {"near": near(centres), "between": near((a + b) / 2 for a, b in pairwise(centres))}
    words |= {"collapse.component": 6, "collapse.value": values[-1], "collapse.iteration": 193}
    words |= {"right.weight": f"{sum(handout[6]['weights'][3:]):.4f}", "tol.tight": "10^{-6}"}
    words |= dict(zip(("pair.low", "pair.high"), spike["pair"]), **{"heldout.tol": "10^{-3}"})
    words |= {"spike.sd": r"2.5 \cdot 10^{-6}"}
    found = {name: text.replace(" and", ",") for name, text in results.items()}
    assert found == {name: str(value).strip("[]") for name, value in words.items()}
    assert (handout[4]["iterations"], tight[4]["iterations"]) == (3, 174)
    assert (heldout["seed"], heldout["tol"], restarts["tol"]) == (0, 0.001, 1e-6)


def test_the_likelihood_grows_without_bound_where_a_component_shrinks(em, data):
    """The argument of the writeup, a step at a time."""
    lls = []
    for variance in (1e-2, 1e-8, 1e-32, 1e-128):
        parameters = [0.5, 0.5], [data[0], data.mean()], [variance, data.var()]
        lls.append(em.log_likelihood(data, *parameters))
    assert lls[1] < lls[2] < lls[3]
    assert lls[3] - lls[2] == pytest.approx(48 * math.log(10))  # half the change of ln variance


def test_the_tables_of_the_truth_and_of_held_out_data(fits, blocks, experiment):
    fit, (means, varis) = fits["best"][4], off(fits["best"][4])
    fitted = zip(fit["means"], fit["weights"], fit["varis"])
    _, weights, _ = columns = np.transpose(sorted(fitted))
    expected = WEIGHTS, weights, MEANS, columns[0], means, np.square(SDS), columns[2], varis
    cells = [re.findall(r"[+-]?[\d.]+", row)[1:] for row in blocks["truerows"].splitlines()]
    assert np.array(cells, float) == pytest.approx(np.transpose(expected), abs=0.0051)
    folds = experiment("heldout")["ll"].values()
    sums = [f"{sum(map(sum, repetitions)) / 3:.1f}" for repetitions in folds]
    assert re.findall(r"-[\d.]+", blocks["heldoutrows"]) == sums


# The sentences

# What each claim of make_numbers.py is about, and a value that makes it false.
FALSE = {
    "EM ends at": ("handout", lambda fits: {k: fits[k] for k in (2, 3, 4, 5)}),
    "it rises by": ("handout.2.ll", -989),
    "falls by": ("handout.4.ll", -989),
    "gains only": ("handout.5.ll", -980),
    "and rises by": ("handout.6.ll", -990.4),
    "the best fit that restarts find": ("best.3.ll", -980),
    "$5$ and~$6$ it ends": ("best.2.ll", -1117.7),
    "without a fit": ("tight.6", {"ll": -880}),
    "there is no fall": ("tight.4.ll", -990),
    "that it is poor": ("data", lambda data: data + 10),
    "left half of the data": ("data", lambda data: np.sort(data)[50:]),
    "one component on each side": ("best.2.means", np.array([1, 2])),
    "in two clusters": ("best.4.means", np.array([2, 8, 9, 14])),
    "none changes sides": ("paths.4", lambda path: np.vstack([path, path[-1] - 5])),
    "one component is alone": ("paths.4", lambda path: path - 3),
    "two means start on the left": ("handout.6.means", lambda means: means + 1),
    "always with weight": ("handout.4.weights", lambda weights: weights[::-1]),
    "collapses onto the single value": ("message", ""),
    "the largest of the data": ("message", lambda line: line.replace("17.215892", "3.5")),
    "a single component for the two leftmost": ("handout.5.means", np.array([3.29, 4, 9, 14, 15])),
    "spends three components on the rightmost": (
        "handout.6.means",
        lambda means: np.append(means[:3], [9.5, 14, 15]),
    ),
    "a quarter of the data": ("handout.6.weights", np.array([0.3, 0.2, 0.25, 0, 0, 0.25])),
    "gather around": ("data", lambda data: np.sort(data[abs(data - 14.09) > 0.4])[31:]),
    "is lowest at $k = 4$": ("best.5.bic", 1800),
    "both fall short": ("best.6.ll", -880),
    "says four again": ("restarts.ends.5.0", [-870, 50]),
    "would say six": ("handout.3.bic", 0),
    "it would say three": ("tight.5.bic", 0),
    "stays on these two values": ("spike.means", [2, 4.5, 9, 14, 13]),
    "of four components": ("spike.ll", -890),
    "none of the random starts": ("restarts.ends.5.0", [-880.1, 2]),
    "It is highest at $k = 4$": ("heldout.ll.4.2.7", -200),
    "because the parameters are fitted": ("best.4.ll", -898),
    "as one expects of a sample": ("best.4.varis", np.ones(4)),
}


@pytest.mark.parametrize("words", FALSE)
def test_a_sentence_that_is_not_true_is_refused(words, inputs, script):
    place, value = FALSE[words]
    *keys, last = (int(key) if key.isdigit() else key for key in place.split("."))
    owner = doctored = copy.deepcopy(inputs)
    for key in keys:
        owner = owner[key]
    owner[last] = value(owner[last]) if callable(value) else value
    with pytest.raises(SystemExit, match=re.escape(f"{words!r} is not true")):
        dict(script.results(**doctored))


def test_every_claim_is_refused_in_some_case(saved):
    assert re.findall(r'claim\("(.*?)"', saved("make_numbers.py")) == [*FALSE]


def test_every_number_in_the_prose_is_generated(tex):
    prose = tex[tex.index(r"\begin{document}") :]
    for layout in (
        r"\\result\{.*?\}",
        r"\\includegraphics(\[.*?\])?\{.*?\}",
        r"\\cmidrule\S*\{.*?\}",
        r"\\multicolumn\{\d\}",
        r"\\begin\{alignat\*\}\{\d\}",
        r"\\\\\[\d+pt\]",
        r"Homework 10|Problems? 2\.[34]( and 2\.4)?",
        r"\$(k = )?[2-6](, \\dots, 6)?\$",  # the handout's
        r"\\setlength\S*",
        r"\\tfrac32",
    ):
        prose = re.sub(layout, "", prose)
    # What is left are the 0, 1, 2 and 3 of formulas.
    assert re.findall(r"\d+\.\d+|\d{2,}|[4-9]", prose) == []


def test_every_result_is_used(tex, results, blocks):
    assert set(re.findall(r"\\result\{([^#}]+)\}", tex)) == set(results)
    assert all(f"\\{name}\n" in tex for name in blocks)
