"""The saved fits are what the scripts print, and the writeup says what the fits say."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import norm

KS = range(2, 7)
# The mixture that data.txt was drawn from, written out so that a change of make_data.py shows.
MEANS, SDS, SIZE = [2, 4.5, 9, 14], [0.6, 0.3, 0.6, 1.2], 100


def parse(text):
    """Return the keys of one fit, lists as arrays, components in ascending order of their means."""
    fit = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    order = np.argsort([float(word) for word in fit["means"].split()])
    for key in ("weights", "means", "varis"):
        fit[key] = np.array(fit[key].split(), float)[order]
    return fit | {key: float(fit[key]) for key in ("n", "k", "tol", "iterations", "ll", "bic")}


@pytest.fixture(scope="module")
def fits(root):
    """The saved fits, {k: fit} for each series."""

    def series(folder, ks):
        return {k: parse((root / "writeup/fits" / folder / f"k{k}.txt").read_text()) for k in ks}

    return {
        "handout": series("", KS),
        "tight": series("tol1e-6", range(2, 6)),
        "best": series("restarts", KS),
    }


@pytest.fixture(scope="module")
def data(root):
    return np.loadtxt(root / "data.txt")


@pytest.fixture(scope="module")
def tex(root):
    """The source of the writeup, without comments."""
    return re.sub(r"(?m)(?<!\\)%.*$", "", (root / "writeup/writeup.tex").read_text())


@pytest.fixture(scope="module")
def numbers(run):
    result = run("writeup/make_numbers")
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.fixture(scope="module")
def results(numbers):
    return dict(re.findall(r"\\newresult\{(.*?)\}\{(.*)\}", numbers))


def lowest(series, score):
    return min(series, key=lambda k: score(series[k]))


def bic(fit):
    return fit["bic"]


# The saved files


def test_data_is_what_make_data_prints(root, run):
    assert run("writeup/make_data", text=False).stdout == (root / "data.txt").read_bytes()


def test_the_true_mixture_is_that_of_make_data(numbers):
    rows = re.search(r"\\truerows\}\{%\n(.*)\}", numbers, re.S)[1].splitlines()
    cells = np.array([re.findall(r"[\d.]+", row) for row in rows], float)
    weights = np.full(4, SIZE / 400)
    assert cells[:, [1, 3, 5]] == pytest.approx(np.transpose([weights, MEANS, np.square(SDS)]))


@pytest.mark.parametrize(
    "name, k, options, rel",
    [("handout", k, ["1"], 1e-6) for k in KS]
    + [("tight", k, ["1e-6"], 1e-6) for k in range(2, 6)]
    # Equally good fits from different starts agree as far as tol lets them.
    + [("best", k, ["1e-6", "--restarts", "50"], 2e-3) for k in KS],
)
def test_a_fresh_fit_is_the_saved_one(name, k, options, rel, fits, run):
    saved, fresh = fits[name][k], parse(run("gmm-em", "data.txt", k, *options).stdout)
    assert fresh.keys() == saved.keys()
    for key in ("data", "n", "k", "tol"):
        assert fresh[key] == saved[key]
    for key in ("ll", "bic"):
        assert fresh[key] == pytest.approx(saved[key], rel=1e-6)
    for key in ("weights", "means", "varis"):
        assert fresh[key] == pytest.approx(saved[key], rel=rel)
    if name == "best":
        assert re.fullmatch(r"handout|random \d+ of 50", saved["start"])
    else:
        assert (fresh["start"], fresh["iterations"]) == (saved["start"], saved["iterations"])


def test_the_collapse_is_the_saved_one(root, run, data, results):
    saved = (root / "writeup/fits/tol1e-6/k6.err").read_text()
    fresh = run("gmm-em", "data.txt", 6, "1e-6")
    assert (fresh.returncode, fresh.stdout, fresh.stderr) == (1, "", saved)
    assert float(results["collapse.value"]) == data.max()  # "the largest in the data"


# Problem 2.3


def test_the_formulas_are_those_of_gmm_em(root, numbers):
    block = re.search(r"\\formulas\}\{%\n(.*?)\}\n\\newcommand", numbers, re.S)[1]
    for k, formula in zip(KS, block.split("k = ")[1:], strict=True):
        assert int(formula[0]) == k
        printed = (root / f"writeup/fits/k{k}.txt").read_text().splitlines()[-1]
        terms = re.findall(r"([\d.]+)\\,\\N\{([\d.]+)\}\{([\d.]+)\}", formula)
        assert terms == re.findall(r"([\d.]+) N\(x \| ([\d.]+), ([\d.]+)\)", printed)
        assert len(terms) == k


def test_the_table_is_that_of_the_fits(fits, numbers):
    rows = re.search(r"\\fitrows\}\{%\n(.*?)\}\n\\newcommand", numbers, re.S)[1].splitlines()
    for k, row in zip(KS, rows, strict=True):
        expected = [k]
        for name, series in fits.items():
            if k in series:
                keys = ("ll", "bic") if name == "best" else ("iterations", "ll", "bic")
                expected += [round(series[k][key], 2) for key in keys]
        row = row.replace(r"\multicolumn{3}", "")
        assert [float(number) for number in re.findall(r"-?[\d.]+", row)] == expected
        bold = re.findall(r"\\textbf\{(.*?)\}", row)
        best = [f"{s[k]['bic']:.2f}" for s in fits.values() if k == lowest(s, bic)]
        assert bold == best


def test_ll_falls_from_three_to_four_with_tol_1(fits, results):
    ll = {k: fit["ll"] for k, fit in fits["handout"].items()}
    assert ll[3] > ll[2] and ll[4] < ll[3] and ll[6] > ll[5]
    assert abs(ll[5] - ll[4]) < 0.1  # "barely moves"
    assert (results["fall.from"], results["fall.to"]) == ("3", "4")
    assert float(results["fall.by"]) == round(ll[3] - ll[4], 2)
    assert (results["jump.from"], results["jump.to"]) == ("5", "6")
    assert float(results["jump.by"]) == round(ll[6] - ll[5], 2)


def test_a_smaller_tol_undoes_the_fall_but_not_the_poor_local_maximum(fits, results):
    ll = [fit["ll"] for fit in fits["tight"].values()]
    assert ll == sorted(ll)
    short = fits["best"][4]["ll"] - fits["tight"][4]["ll"]
    assert short > 90
    assert float(results["short"]) == round(short, 2)
    assert int(results["fall.iterations.handout"]) == fits["handout"][4]["iterations"]
    assert int(results["fall.iterations.tight"]) == fits["tight"][4]["iterations"]


def test_with_restarts_ll_rises_with_k(fits):
    ll = [fit["ll"] for fit in fits["best"].values()]
    assert all(after > before for before, after in pairwise(ll))
    for series in fits.values():
        for k, fit in series.items():
            assert fit["ll"] < fits["best"][k]["ll"] + 1e-5


def test_one_component_covers_half_of_the_data_up_to_five(fits, results):
    for k in (3, 4, 5):
        assert f"{fits['handout'][k]['weights'][0]:.2f}" == results["merged.weight"] == "0.50"
        assert f"{fits['handout'][k]['means'][0]:.2f}" == results["merged.mean"]


def test_the_second_mean_goes_right_at_five_and_left_at_six(fits, results, data):
    for k, name in ((5, "jump.from.second"), (6, "jump.to.second")):
        start = data.min() + 2 * (data.max() - data.min()) / k
        assert float(results[name]) == round(start, 2)
        assert (fits["handout"][k]["means"][1] > start) == (k == 5)


def test_the_likelihood_grows_without_bound_where_a_component_shrinks(em, data):
    """The argument of the writeup, a step at a time."""
    lls = []
    for variance in (1e-2, 1e-8, 1e-32, 1e-128):
        parameters = [0.5, 0.5], [data[0], data.mean()], [variance, data.var()]
        lls.append(em.log_likelihood(data, *parameters))
    assert lls[1] < lls[2] < lls[3]
    assert lls[3] - lls[2] == pytest.approx(48 * math.log(10))  # half the change of ln variance


# Problem 2.4


def test_bic_with_restarts_is_lowest_at_four(fits, results):
    best = fits["best"]
    assert lowest(best, bic) == 4
    assert (results["answer"], results["answer.word"]) == ("4", "four")
    for k in (3, 5):
        assert float(results[f"bic-gap.{k}"]) == round(best[k]["bic"] - best[4]["bic"], 1)
    for k in (4, 5, 6):
        assert float(results[f"gain.{k}"]) == round(best[k]["ll"] - best[k - 1]["ll"], 2)
    assert best[5]["ll"] - best[4]["ll"] < best[6]["ll"] - best[4]["ll"] < 10  # "hardly rises"


def test_bic_without_restarts_is_lowest_elsewhere(fits, results):
    assert (lowest(fits["handout"], bic), results["bic-word.handout"]) == (6, "six")
    assert (lowest(fits["tight"], bic), results["bic-word.tight"]) == (3, "three")


def test_akaike_is_lowest_at_six(fits, results):
    assert lowest(fits["best"], lambda fit: 2 * (3 * fit["k"] - 1) - 2 * fit["ll"]) == 6
    assert results["aic-k"] == "6"


def test_the_histogram_has_four_peaks(data):
    places = [2, 3.3, 4.5, 7, 9, 11, 14]  # peak, gap, peak, ...
    near = [(abs(data - x) < 0.4).sum() for x in places]
    for i in (1, 3, 5):
        assert near[i] < 0.4 * min(near[i - 1], near[i + 1])


def test_up_to_five_one_component_spans_the_gap_between_the_leftmost_peaks(fits):
    def density(fit, x):
        return fit["weights"] @ norm.pdf(x, fit["means"], np.sqrt(fit["varis"]))

    for k in range(2, 6):
        assert fits["handout"][k]["means"][0] + 3 * fits["handout"][k]["varis"][0] ** 0.5 > 6
        assert density(fits["handout"][k], 3.5) > 0.5 * density(fits["handout"][k], 4.5)
    assert density(fits["handout"][6], 3.5) < 0.1 * density(fits["handout"][6], 4.5)


def test_at_six_three_components_share_the_rightmost_peak(fits, results):
    fit = fits["handout"][6]
    right = fit["weights"][fit["means"] > 11.5]
    assert (len(right), results["right.components"]) == (3, "three")
    assert float(results["right.weight"]) == round(right.sum(), 4)
    assert right.sum() == pytest.approx(1 / 4, abs=0.01)


def test_the_four_components_come_back_and_the_others_are_spikes(fits, results):
    counts = []
    for k in (5, 6):
        fit = fits["best"][k]
        large = np.sort(np.argsort(fit["weights"])[-4:])
        assert fit["means"][large] == pytest.approx(fits["best"][4]["means"], abs=0.05)
        counts += sorted(400 * fit["weights"])[: k - 4]
    assert [results["spike.fewest"], results["spike.most"]] == [
        f"{min(counts):.1f}",
        f"{max(counts):.1f}",
    ]
    assert max(counts) < 5


def test_the_fit_is_close_to_the_mixture_that_the_data_was_drawn_from(fits, data, em, results):
    fit = fits["best"][4]
    sds = np.array(SDS)
    off = abs(fit["means"] - MEANS) / (sds / SIZE**0.5)
    assert max(off) < 2 and float(results["worst-error"]) == round(max(off), 2)
    # The standard error of a variance is σ² sqrt(2/n), that of a drawn weight sqrt(π (1 - π)/n).
    assert (abs(fit["varis"] - sds**2) < 2 * sds**2 * (2 / SIZE) ** 0.5).all()
    assert fit["weights"] == pytest.approx([0.25] * 4, abs=2 * (0.25 * 0.75 / 400) ** 0.5)
    true_ll = em.log_likelihood(data, [0.25] * 4, MEANS, sds**2)
    assert float(results["true.ll"]) == round(true_ll, 2)
    assert fit["ll"] > true_ll and float(results["answer.ll"]) == round(fit["ll"], 2)


# The source


def test_every_number_in_the_prose_is_generated(tex):
    prose = tex[tex.index(r"\begin{document}") :]
    for layout in (
        r"\\result\{.*?\}",
        r"\\includegraphics\[.*?\]\{.*?\}",
        r"\\cmidrule\S*\{.*?\}",
        r"\\multicolumn\{\d\}",
        r"\\begin\{alignat\*\}\{\d\}",
        r"\\\\\[\d+pt\]",
        r"Homework 10|Problems? 2\.[34]( and 2\.4)?",
        r"\$(k = )?[2-6]\$",  # the handout's
    ):
        prose = re.sub(layout, "", prose)
    # What is left are the 0, 1, 2 and 3 of formulas.
    assert re.findall(r"\d+\.\d+|\d{2,}|[4-9]", prose) == []
    assert re.findall(r"\b(?:two|three|four|five|six)\s+(?:clusters|components)", prose) == []


def test_every_result_is_used_and_every_one_used_is_generated(tex, results, numbers):
    used = re.findall(r"\\result\{([^#}]+)\}", tex)
    assert set(used) == set(results)
    for rows in re.findall(r"\\newcommand\{(\\\w+)\}", numbers):
        assert rows in tex
    assert numbers.startswith("% Generated by make_numbers.py, do not edit.\n")


def test_the_makefile_and_the_prose_agree_on_the_restarts(root, results):
    makefile = (root / "writeup/Makefile").read_text()
    assert re.search(r"RESTARTS := (\d+)", makefile)[1] == results["restarts"] == "50"
