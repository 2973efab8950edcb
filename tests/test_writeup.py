"""The saved results are what the scripts print, and the writeup says what they say."""

import contextlib
import copy
import re
import sys
from itertools import pairwise

import numpy as np
import pytest
from conftest import ROOT, run
from scipy.stats import norm

sys.path.insert(0, str(ROOT / "writeup"))
import make_numbers

KS = 2, 3, 4, 5, 6
# The mixture that data.txt was drawn from, written out so that a change of make_data.py shows.
WEIGHTS, MEANS, SDS, SIZE = [0.25] * 4, [2, 4.5, 9, 14], np.array([0.6, 0.3, 0.6, 1.2]), 100


def log_likelihood(data, weights, means, varis):
    return np.log(norm.pdf(np.asarray(data)[:, None], means, np.sqrt(varis)) @ weights).sum()


def bic(k, ll):
    return (3 * k - 1) * np.log(400) - 2 * ll


@pytest.fixture(scope="module")
def inputs():
    return make_numbers.read()


@pytest.fixture(scope="module")
def prose():
    """The text of the writeup, without comments."""
    text = (ROOT / "writeup" / "writeup.tex").read_text().partition(r"\begin{document}")[2]
    return re.sub(r"(?m)(?<!\\)%.*$", "", text)


# ---- The saved results are those of the scripts ----
def test_data_is_what_make_data_prints():
    assert run("writeup/make_data", text=False).stdout == (ROOT / "data.txt").read_bytes()


ARGUMENTS = {"handout": "2-6 1", "tight": "2-6 1e-6", "best": "2-4 1e-6 --restarts 50"}


@pytest.mark.parametrize("series", ARGUMENTS)
def test_the_saved_fits_are_those_of_gmm_em(series, inputs, tmp_path):
    result = run("gmm-em", "data.txt", *ARGUMENTS[series].split())
    (tmp_path / "fits").write_text(result.stdout)
    for k, fit in make_numbers.read_fits(tmp_path / "fits").items():
        saved = inputs[series][k]
        for key in ("data", "n", "tol", "start", "iterations", "terms"):
            assert saved[key] == fit[key]
        for key in ("weights", "means", "varis", "ll", "bic"):
            assert saved[key] == pytest.approx(fit[key], rel=1e-6)
    assert result.stderr == (inputs["message"] if series == "tight" else "")


def test_a_saved_fit_has_the_ll_and_bic_of_its_parameters(inputs, data):
    for series in ("handout", "tight", "best"):
        for k, fit in inputs[series].items():
            ll = log_likelihood(data, fit["weights"], fit["means"], fit["varis"])
            assert fit["ll"] == pytest.approx(ll, abs=1e-8)
            assert fit["bic"] == pytest.approx(bic(k, ll), abs=1e-8)


# ---- The writeup says what they say ----
def formula(fit):
    return [len(fit["means"]), *np.transpose([fit["weights"], fit["means"], fit["varis"]]).ravel()]


def table_row(k, handout, tight, best, ends):
    one_start = [fits[k] for fits in (handout, tight) if k in fits]
    cells = [fit[key] for fit in one_start for key in ("iterations", "ll", "bic")]
    reached = sum(end[0] > best[k]["ll"] - 0.001 for end in ends[k] if end)
    return [k, *cells, best[k]["ll"], best[k]["bic"], reached, ends[k].count(None)]


def expected_numbers(inputs, data):
    """Return those of each part of the text, with formulas and tables, in the order of reading."""
    series = handout, tight, best = inputs["handout"], inputs["tight"], inputs["best"]
    lls = [np.array([fit["ll"] for fit in fits.values()]) for fits in series]
    ends, spike = inputs["restarts"]["ends"], inputs["spike"]
    formulas = np.concatenate([formula(handout[k]) for k in KS])
    table = np.concatenate([table_row(k, *series, ends) for k in KS])
    low, high = max(pairwise(sorted(data)), key=np.diff)
    lefts = [sum(np.linspace(min(data), max(data), k + 1)[1:] < (low + high) / 2) for k in KS]
    tight_short = best[4]["ll"] - tight[4]["ll"]
    left = handout[3]["weights"][0], handout[3]["means"][0]
    centres, varis = best[4]["means"], best[4]["varis"]
    near = [sum(abs(data - x) < 0.4) for x in centres]
    between = [sum(abs(data - (a + b) / 2) < 0.4) for a, b in pairwise(centres)]
    bic_gaps = [best[k]["bic"] - best[4]["bic"] for k in (3, 5)]
    large = [max(end[0] for end in ends[k] if end and end[1] >= 5) for k in (5, 6)]
    spike_ll = log_likelihood(data, *map(spike.get, ("weights", "means", "varis")))
    spikes = spike["varis"][4] ** 0.5 / 1e-6, 10, -6, spike_ll, bic(5, spike_ll)
    true_ll = log_likelihood(data, WEIGHTS, MEANS, SDS**2)
    off = (centres - MEANS) / SDS * SIZE**0.5, (varis / SDS**2 - 1) * (SIZE / 2) ** 0.5
    truth = np.c_[1:5, WEIGHTS, best[4]["weights"], MEANS, centres, off[0], SDS**2, varis, off[1]]
    heldout = [np.sum(inputs["heldout"]["ll"][k]) / 3 for k in KS]
    return {  # 10^{-6} counts as 10, -6
        "Homework": [400],
        "Problem 2.3": [*abs(np.diff(lls[0])), *formulas, 50, 0, 0.001, 10, -6, 10, -6, *table],
        "What to expect": np.delete(lls[2] - lls[0], 1),
        r"Why $\loglik$ falls": [3, 10, -6, 174, tight[4]["ll"], tight[3]["ll"]],
        "Why it": [10, -6, tight_short, true_ll, low, high, 200, 400, *lefts, *left, 10, -6],
        "Why ``best of restarts''": [10, -6, 6, max(data), 193],
        "Problem 2.4": [*centres, sum(handout[6]["weights"][3:]), 10, -6, 10, -6],
        "The histogram": [0.4, *near, 0.4, *between],
        "BIC": [*bic_gaps, 1.5 * np.log(400), *np.diff(lls[2])[1:]],
        "Spikes": [*spike["pair"], 0.001, *spikes, best[4]["bic"], 400, 5, *large],
        "New data": [40, 10, -3, 0, *KS, *heldout],
        "The truth": [100, best[4]["ll"], true_ll, 100, 100, np.abs(off).max(), *truth.ravel()],
        "What would change": [10, -6],
    }


def test_every_number_is_right_to_the_digits_shown(inputs, data, prose):
    results = dict(make_numbers.results(**inputs)) | dict(make_numbers.blocks(**inputs))
    command = r"\\(?:result\{)?([\w.-]+)"
    assert set(results) <= set(re.findall(command, prose))
    parts = re.split(r"\\(?:section\*|paragraph)\{", prose)
    expected = expected_numbers(inputs, data)
    for part, (heading, values) in zip(parts, expected.items(), strict=True):
        assert heading in part
        text = " ".join(str(results[name]) for name in re.findall(command, part) if name in results)
        found = re.findall(r"-?\d+\.?\d*", re.sub(r"\[3pt\]|column\{3\}", "", text))
        places = [len(number.partition(".")[2]) for number in found]
        assert found == [f"{value:.{n}f}" for value, n in zip(values, places, strict=True)]
    bics = inputs["tight"][3]["bic"], inputs["best"][4]["bic"], inputs["handout"][6]["bic"]
    assert re.findall(r"\\textbf\{(.*?)\}", results["fitrows"]) == [f"{x:.2f}" for x in bics]
    assert f"\\mathbf{{{max(expected['New data'][-5:]):.1f}}}" in results["heldoutrows"]
    rows = results["fitrows"].splitlines()
    assert {row.count("&") + 2 * row.count(r"multicolumn{3}") for row in rows} == {10}


CLAIMS = re.findall(r'claim\("(.*?)"', (ROOT / "writeup" / "make_numbers.py").read_text())
# How many of them a change makes false, which is small, and in one place.
CHANGES = {
    "del handout[6]": 1,
    "handout[2]['ll'] = -989.9": 2,
    "handout[4]['ll'] = -989.7": 2,
    "handout[5]['ll'] = -895.2": 2,
    "best[3]['ll'] += 0.01": 1,
    "best[6]['ll'] = -894.5": 1,
    "tight[6] = {'ll': -880, 'bic': 2000}": 2,
    "tight[4]['ll'] = -947": 2,
    "best[2]['means'][1] = 6": 1,
    "best[4]['means'][1] = 7": 4,
    "best[4]['varis'][1] = 0.13": 1,
    "best[4]['ll'] = -898": 1,
    "best[5]['ll'] = -886.3": 1,
    "best[5]['bic'] = 1856": 1,
    "paths[4][0] -= 3": 2,
    "handout[4]['weights'][0] += 0.01": 1,
    "handout[4]['means'][0] += 0.01": 1,
    "handout[5]['means'][1] = 6": 1,
    "handout[6]['means'][3] = 11": 1,
    "handout[6]['weights'][5] += 0.02": 1,
    "data = np.append(np.sort(data)[25:], [3.3] * 5)": 4,
    "message = message.replace('k = 6', 'k = 5')": 1,
    "message = message.replace('17.215892', '3.5')": 1,
    "handout[3]['bic'] = 1891": 1,
    "restarts['ends'][5][0] = [-880.9, 50]": 2,
    "spike['means'][4] += 1e-5": 1,
    "spike['ll'] -= 7": 1,
    "heldout['ll'][5][2][7] += 5": 2,
    "best[6]['weights'][:] = 1 / 6": 1,
    "heldout['ll'][2].pop()": 2,
}


def test_every_sentence_is_refused_where_it_is_not_true(inputs, monkeypatch):
    for words in CLAIMS:
        with pytest.raises(SystemExit, match=rf"true of data.txt: .*{re.escape(words)}"):
            make_numbers.claim(words, False)
    refused, counts = [], {}
    monkeypatch.setattr(make_numbers, "claim", lambda words, true: true or refused.append(words))
    for change in CHANGES:
        changed = copy.deepcopy(inputs)
        exec(change, {"np": np}, changed)
        with contextlib.suppress(KeyError, TypeError):  # where nothing is left to go on with
            dict(make_numbers.results(**changed))
        counts[change] = len(refused) - sum(counts.values())
    assert counts == CHANGES
    assert set(refused) == set(CLAIMS)


def test_every_number_in_the_prose_is_generated(prose):
    commands = r"\\result\{.*?\}|\\(includegraphics|cmidrule|multicolumn|begin|setlength)\S*"
    headings = r"Homework 10|Problems? 2\.[34]( and 2\.4)?"
    handouts = r"\$(k = )?[2-6](, \\dots, 6)?\$|\\tfrac32"
    for typed in commands, headings, handouts, r"\[\dpt\]":
        prose = re.sub(typed, "", prose)
    assert re.findall(r"\d", "".join(prose.split("$")[::2])) == []  # between formulas
    assert re.findall(r"\d+\.\d+|\d{2,}|[4-9]", prose) == []  # formulas have 0, 1, 2 and 3
