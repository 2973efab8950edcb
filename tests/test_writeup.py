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
def middle(data):
    """The middle of the widest gap between neighbouring values."""
    values = sorted(data)
    return max((b - a, (a + b) / 2) for a, b in pairwise(values))[1]


@pytest.fixture(scope="module")
def tex(saved):
    """The source of the writeup, without comments."""
    return re.sub(r"(?m)(?<!\\)%.*$", "", saved("writeup.tex"))


@pytest.fixture(scope="module")
def numbers(run):
    result = run("writeup/make_numbers")
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.fixture(scope="module")
def results(numbers):
    return dict(re.findall(r"\\newresult\{(.*?)\}\{(.*)\}", numbers))


@pytest.fixture(scope="module")
def rows(numbers):
    """Return the lines of a block of numbers.tex."""
    return lambda name: re.search(rf"\\{name}\}}\{{%\n(.*?)\}}\n\\newc", numbers + "\\newc", re.S)[
        1
    ]


@pytest.fixture(scope="module")
def script(root):
    """make_numbers.py as a module."""
    sys.path.insert(0, str(root / "writeup"))
    import make_numbers

    yield make_numbers
    sys.path.remove(str(root / "writeup"))


# The saved results are those of the scripts


def test_data_is_what_make_data_prints(root, run):
    assert run("writeup/make_data", text=False).stdout == (root / "data.txt").read_bytes()


@pytest.mark.parametrize("name, tol", [("handout", "1"), ("tight", "1e-6")])
def test_the_fits_from_the_handouts_start_are_the_saved_ones(name, tol, fits, run, saved):
    result = run("gmm-em", "data.txt", "2-6", tol)
    fresh, errors = parse(result.stdout), saved("fits/tol1e-6/k2-6.err")
    assert fresh.keys() == fits[name].keys()
    for k, fit in fits[name].items():
        for key in ("data", "n", "tol", "start", "iterations", "formula"):
            assert fresh[k][key] == fit[key]
        for key in ("weights", "means", "varis", "ll", "bic"):
            assert fresh[k][key] == pytest.approx(fit[key], rel=1e-6)
    assert [line for line in result.stderr.splitlines() if "error" in line] == (
        errors.splitlines() if name == "tight" else []
    )


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
        found = [em.train(rest, k, 0.01, start) for _, start in em.starts(rest, k, 30, 0)]
        ll = log_likelihood(parts[-1], *max(found, key=lambda fit: fit[3])[:3])
        assert heldout["ll"][str(k)][0][-1] == pytest.approx(ll, abs=1e-6)
    assert np.shape([*heldout["ll"].values()]) == (6, 3, 10)


def test_the_spike_is_where_em_stays(experiment, em, data):
    spike = experiment("spike")
    fit = [np.array(spike[key]) for key in ("weights", "means", "varis")]
    assert spike["ll"] == pytest.approx(log_likelihood(data, *fit), abs=1e-6)
    after = em.maximization(data, em.expectation(data, *fit))
    assert np.ravel(after) == pytest.approx(np.ravel(fit), rel=1e-3)
    closest = min(zip(np.diff(sorted(data)), sorted(data), sorted(data)[1:]))
    assert spike["pair"] == list(closest[1:])


# The numbers


def test_the_formulas_are_those_of_gmm_em(fits, rows):
    for k, formula in zip(KS, rows("formulas").split("k = ")[1:], strict=True):
        terms = re.findall(r"([\d.]+)\\,\\N\{([\d.]+)\}\{([\d.]+)\}", formula)
        printed = re.findall(
            r"([\d.]+) N\(x \| ([\d.]+), ([\d.]+)\)", fits["handout"][k]["formula"]
        )
        assert (int(formula[0]), terms, len(terms)) == (k, printed, k)


def test_the_table_is_that_of_the_fits(fits, rows, experiment):
    for k, row in zip(KS, rows("fitrows").splitlines(), strict=True):
        ends = experiment("restarts")["ends"][str(k)]
        expected = [k]
        for name, series in fits.items():
            if k in series:
                keys = ("ll", "bic") if name == "best" else ("iterations", "ll", "bic")
                expected += [round(series[k][key], 2) for key in keys]
        expected.append(
            sum(end is not None and end[0] > fits["best"][k]["ll"] - 1e-3 for end in ends)
        )
        expected.append(sum(end is None for end in ends))
        row = row.replace(r"\multicolumn{3}", "")
        assert [float(number) for number in re.findall(r"-?[\d.]+", row)] == expected
        lows = [min(s.values(), key=lambda fit: fit["bic"]) for s in fits.values()]
        bold = [f"{fit['bic']:.2f}" for fit in lows if fit["k"] == k]
        assert re.findall(r"\\textbf\{(.*?)\}", row) == bold


def test_the_numbers_of_the_log_likelihoods(fits, results, em, data, middle):
    ll = {name: {k: fit["ll"] for k, fit in series.items()} for name, series in fits.items()}
    expected = {f"change.{k}": abs(ll["handout"][k] - ll["handout"][k - 1]) for k in range(3, 7)}
    expected |= {f"short.{k}": ll["best"][k] - ll["handout"][k] for k in (2, 4, 5, 6)}
    expected |= {f"gain.{k}": ll["best"][k] - ll["best"][k - 1] for k in (4, 5, 6)}
    expected |= {f"ll.tight.{k}": ll["tight"][k] for k in (3, 4)}
    expected["short.tight.4"] = ll["best"][4] - ll["tight"][4]
    expected["true.ll"] = log_likelihood(data, WEIGHTS, MEANS, np.square(SDS))
    expected["answer.ll"] = ll["best"][4]
    expected["merged.weight"] = fits["handout"][4]["weights"][0]
    expected["merged.mean"] = fits["handout"][4]["means"][0]
    expected["gap.low"], expected["gap.high"] = max(data[data < middle]), min(data[data > middle])
    expected["collapse.value"] = max(data)
    for name, value in expected.items():
        assert float(results[name]) == pytest.approx(value, abs=0.005 + 1e-9), name
    assert int(results["iterations.4"]) == fits["handout"][4]["iterations"]
    assert int(results["iterations.tight.4"]) == fits["tight"][4]["iterations"]
    assert int(results["left.values"]) == sum(data < middle)
    starts = [sum(min(data) + i * np.ptp(data) / k < middle for i in range(1, k + 1)) for k in KS]
    assert re.findall(r"\d", results["left.means"]) == [str(count) for count in starts]


def test_the_likelihood_grows_without_bound_where_a_component_shrinks(em, data):
    """The argument of the writeup, a step at a time."""
    lls = []
    for variance in (1e-2, 1e-8, 1e-32, 1e-128):
        parameters = [0.5, 0.5], [data[0], data.mean()], [variance, data.var()]
        lls.append(em.log_likelihood(data, *parameters))
    assert lls[1] < lls[2] < lls[3]
    assert lls[3] - lls[2] == pytest.approx(48 * math.log(10))  # half the change of ln variance


def test_the_numbers_of_the_clusters(fits, results, rows, data, experiment):
    best = fits["best"]
    centres = sorted(best[4]["means"])
    expected = {f"bic-gap.{k}": best[k]["bic"] - best[4]["bic"] for k in (3, 5)}
    expected |= {"gain.needed": 1.5 * math.log(400)}
    ends = experiment("restarts")["ends"]
    for k in (5, 6):
        expected[f"large.{k}"] = max(end[0] for end in ends[str(k)] if end and end[1] >= 5)
    ll = experiment("spike")["ll"]
    expected |= {"spike.ll": ll, "spike.bic": bic(5, ll)}
    for name, value in expected.items():
        assert float(results[name]) == pytest.approx(value, abs=0.005 + 1e-9), name
    assert [results[f"centre.{i}"] for i in (1, 2, 3, 4)] == [f"{x:.1f}" for x in centres]
    right = fits["handout"][6]["weights"][fits["handout"][6]["means"] > 11.5]
    assert (len(right), results["right.weight"]) == (3, f"{sum(right):.4f}")
    middles = [(a + b) / 2 for a, b in pairwise(centres)]
    for name, places in (("near", centres), ("between", middles)):
        counts = [sum(place - 0.4 < x < place + 0.4 for x in data) for place in places]
        assert re.findall(r"\d+", results[name]) == [str(count) for count in counts]
    folds = experiment("heldout")["ll"]
    means = [f"{sum(map(sum, repetitions)) / 3:.1f}" for repetitions in folds.values()]
    assert re.findall(r"-[\d.]+", rows("heldoutrows")) == means


def test_the_fit_is_off_the_truth_by_what_the_table_says(fits, rows, results):
    fit = fits["best"][4]
    order = np.argsort(fit["means"])
    mean_errors = np.array(SDS) / math.sqrt(SIZE)
    vari_errors = np.square(SDS) * math.sqrt(2 / SIZE)
    cells = np.array([re.findall(r"[+-]?[\d.]+", r) for r in rows("truerows").splitlines()], float)
    means, varis = fit["means"][order], fit["varis"][order]
    off = (means - MEANS) / mean_errors, (varis - np.square(SDS)) / vari_errors
    columns = WEIGHTS, fit["weights"][order], MEANS, means, off[0], np.square(SDS), varis, off[1]
    assert cells[:, 1:] == pytest.approx(np.transpose(columns), abs=0.0051)
    assert results["worst"] == f"{np.max(np.abs(off)):.2f}"


# The sentences


# What each claim of make_numbers.py is about, and a value that makes it false.
FALSE = {
    "EM ends at": ("handout", lambda fits: {k: fits[k] for k in (2, 3, 4, 5)}),
    "it rises by": ("handout.2.ll", -989),
    "falls by": ("handout.4.ll", -989),
    "gains only": ("handout.5.ll", -980),
    "and rises by": ("handout.6.ll", -990.4),
    "the best fit that restarts find": ("best.3.ll", -980),
    "below it at the others": ("best.2.ll", -1117.7),
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
    "better than four components have": ("spike.ll", -890),
    "none of the random starts": ("restarts.ends.5.0", [-880.1, 2]),
    "highest at $k = 4$ in each": ("heldout.ll.4.2.7", -200),
    "because the parameters are fitted": ("best.4.ll", -898),
    "as one expects of a sample": ("best.4.varis", np.ones(4)),
}


@pytest.fixture(scope="module")
def inputs(script):
    return script.read()


@pytest.mark.parametrize("words", FALSE)
def test_a_sentence_that_is_not_true_is_refused(words, inputs, script, tex):
    assert words in " ".join(tex.split())
    place, value = FALSE[words]
    *keys, last = (int(key) if key.isdigit() else key for key in place.split("."))
    owner = doctored = copy.deepcopy(inputs)
    for key in keys:
        owner = owner[key]
    owner[last] = value(owner[last]) if callable(value) else value
    with pytest.raises(SystemExit, match=re.escape(repr(words))):
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


def test_every_result_is_used_and_every_one_used_is_generated(tex, results, numbers):
    assert set(re.findall(r"\\result\{([^#}]+)\}", tex)) == set(results)
    for rows in re.findall(r"\\newcommand\{(\\\w+)\}", numbers):
        assert rows in tex
    assert numbers.startswith("% Generated by make_numbers.py, do not edit.\n")
