"""The saved results are what the scripts print, and the writeup says what they say."""

import contextlib
import copy
import itertools
import re
import sys

import numpy as np
import pytest
from conftest import ROOT, run, textbook
from scipy.stats import norm

sys.path.insert(0, str(ROOT / "writeup"))
import make_numbers

KS, KEYS = (2, 3, 4, 5, 6), ("weights", "means", "varis")
# The mixture of data.txt, written out so that a change of make_data.py shows.
MEANS, SDS, SIZE = [2, 4.5, 9, 14], np.array([0.6, 0.3, 0.6, 1.2]), 100


def densities(data, fit):
    """Return the weighted density of each component at each value, (n, k)."""
    return norm.pdf(data[:, None], fit["means"], np.sqrt(fit["varis"])) * fit["weights"]


def log_likelihood(data, fit):
    return np.log(densities(data, fit).sum(axis=1)).sum()


def bic(k, ll):
    return (3 * k - 1) * np.log(400) - 2 * ll


@pytest.fixture(scope="module")
def inputs():
    return make_numbers.read()


@pytest.fixture(scope="module")
def prose():
    """The text of the writeup, without comments, in one line."""
    text = (ROOT / "writeup" / "writeup.tex").read_text()
    text = re.sub(r"(?m)(?<!\\)%.*$", "", text.partition(r"\begin{document}")[2])
    return " ".join(text.split())


# ---- The saved results are those of the scripts ----
def test_data_is_what_make_data_prints():
    result = run("writeup/make_data", text=False)
    assert result.stdout == (ROOT / "data.txt").read_bytes()


ARGUMENTS = {"handout": "2-6 1", "tight": "2-6 1e-6", "best": "2-4 1e-6 --restarts 50"}


@pytest.mark.parametrize("series", ARGUMENTS)
def test_the_saved_fits_are_those_of_gmm_em(series, inputs, data, tmp_path):
    result = run("gmm-em", "data.txt", *ARGUMENTS[series].split())
    (tmp_path / "fits").write_text(result.stdout)
    for k, fit in make_numbers.read_fits(tmp_path / "fits").items():
        saved = inputs[series][k]
        for key in ("data", "n", "tol", "start", "iterations", "terms"):
            assert saved[key] == fit[key]
        for key in (*KEYS, "ll", "bic"):
            assert saved[key] == pytest.approx(fit[key], rel=1e-6)
    for k, saved in inputs[series].items():
        assert saved["ll"] == pytest.approx(log_likelihood(data, saved), abs=1e-8)
        assert saved["bic"] == pytest.approx(bic(k, saved["ll"]), abs=1e-8)
    assert series != "tight" or result.stderr == inputs["message"]


def test_other_starts_end_where_the_handouts_loop_ends(inputs, data):
    starts = inputs["starts"]
    some = starts["spread"], starts["centres"], starts["shifted"][5][77]
    places = np.arange(4) / 3, np.arange(1, 8, 2) / 8, (np.arange(1, 6) - 0.77) / 5
    for saved, shares in zip(some, places):
        k, means = len(shares), min(data) + shares * np.ptp(data)
        start = np.full(k, 1 / k), means, np.ones(k)
        lls, tight = (textbook(data, k, tol, start)[-1] for tol in (1, 1e-6))
        assert (saved["left"], saved["iterations"]) == (sum(means < 6.4), len(lls))
        assert saved["nearest"] == pytest.approx(min(abs(means - 6.4011)), abs=1e-3)
        assert saved["ll"] == pytest.approx([lls[-1], tight[-1]], abs=1e-5)
    for k in (3, 4):
        lls = [float(textbook(data, k, tol)[3]) for tol in (1e-2, 1e-3)]
        assert starts["by tol"][k] == pytest.approx(lls, abs=1e-8)


# ---- The writeup says what they say ----
def sound(ends, few=2.95):
    """Return the ll of the starts that are not left out."""
    return [end[0] for end in ends if end and end[1] >= few]


def table_row(k, handout, tight, best, ends):
    one_start = [fits[k] for fits in (handout, tight) if k in fits]
    cells = [fit[key] for fit in one_start for key in ("iterations", "ll", "bic")]
    reached = sum(ll > best[k]["ll"] - 0.001 for ll in sound(ends))
    return [k, *cells, best[k]["ll"], best[k]["bic"], reached, 50 - len(sound(ends))]


def across(data, fit):
    """Return the largest percentage of a component's points across 6.4."""
    terms = densities(data, dict(zip(KEYS, fit)))
    gammas, other = terms.T / terms.sum(axis=1), (fit[1][:, None] < 6.4) != (data < 6.4)
    return 100 * ((gammas * other).sum(axis=1) / gammas.sum(axis=1)).max()


def expected_numbers(inputs, data):
    """Return those of each part of the text, in the order of reading."""
    series = handout, tight, best = [inputs[name] for name in ARGUMENTS]
    starts, ends, spike = inputs["starts"], inputs["restarts"]["ends"], inputs["spike"]
    fits = [*handout.items(), (4, best[4])]
    formulas = [[k, *np.ravel([fit[key] for key in KEYS], "F")] for k, fit in fits]
    table = [table_row(k, *series, ends[k][:50]) for k in KS]
    falls = np.transpose([starts["by tol"][k] for k in (3, 4)])
    gap = low, high = max(itertools.pairwise(sorted(data)), key=np.diff)
    share = ((low + high) / 2 - min(data)) / np.ptp(data)
    lefts = [100 * share, share, *[int(share * k) for k in KS]]
    stuck, paths = [tight[5][key][0] for key in KEYS[:2]], inputs["paths"]
    crossing = max(across(data, fit) for k in KS[1:] for fit in paths[k])
    crossing = [crossing, 200, across(data, paths[2][0])]
    others = [starts["spread"]["ll"][0], 20, starts["centres"]["ll"][0], 100, 0.35]
    for k, left in itertools.product((4, 5), (1, 2)):
        far = [end for end in starts["shifted"][k] if end["nearest"] > 0.35]
        lls = [end["ll"] for end in far if end["left"] == left]
        others += [k] * (left == 1) + [len(lls)]
        for of_tol in zip(*lls):
            found = sorted(ll for ll in of_tol if ll)
            others += found[:1] + found[-1:] * (found[-1] - found[0] > 0.01)
            others += [of_tol.count(None)] * (None in of_tol)
    near = 6.4011 - paths[3][0, 1, 0]
    spike_ll = log_likelihood(data, spike)
    narrow = [*spike["pair"], 400, 0.001, spike["varis"][4] ** 0.5 / 1e-6, 10, -6]
    lls = [max(sound(ends[k])) for k in KS]
    gains, bics = np.diff(lls)[1:], [bic(k, lls[k - 2]) for k in (4, 5, 6)]
    more = [gains[0], 500, gains[1:], bics]
    more += [bic(k, max(sound(ends[k], 0))) for k in (5, 6)] + [bic(5, spike_ll)]
    more += [400 * np.sort(best[k]["weights"])[: k - 4] for k in (6, 5)]
    heldout = [np.sum(inputs["heldout"]["ll"][k], axis=1).mean() for k in KS]
    off = [(best[4]["means"] - MEANS) / SDS * SIZE**0.5]
    off += [(best[4]["varis"] / SDS**2 - 1) * (SIZE / 2) ** 0.5]
    return {  # 10^{-6} counts as 10, -6
        "Homework": [[]],
        "What do the": [abs(np.diff([handout[k]["ll"] for k in KS]))],
        "How many clusters?": [best[4]["means"], 0.7, 1.1],
        "Problem 2.3": [400, *formulas[:5], 50, 0, 0.001, 10, -6, 10, -6, *table],
        r"Why $\loglik$ falls": [3, 10, -2, falls[0], 10, -3, falls[1]],
        "Why it": [gap, 200, 400, 200, lefts, crossing, stuck, 10, -6, 20],
        "With other means": [others[:5], [10, -6] * 3, others[5:], near],
        "Why ``best": [10, -6, 6, max(data), 193, narrow, spike_ll, 400],
        "Problem 2.4": [sum(handout[6]["weights"][3:]), formulas[5]],
        "The histogram": [0.7, 1.1, best[4]["means"][2]],
        "BIC": [1.5 * np.log(400), *more],
        "New data": [20, 10, -3, 10, KS, heldout],
        "The truth": [100, MEANS, SDS**2, np.abs(off).max(), 100],
    }


def test_every_number_is_right_to_the_digits_shown(inputs, data, prose):
    blocks = dict(make_numbers.blocks(**inputs))
    results = dict(make_numbers.results(**inputs)) | blocks
    command = r"\\(?:result\{)?([\w.-]+)"
    assert set(results) <= set(re.findall(command, prose))
    parts = re.split(r"\\(?:section\*|paragraph)\{", prose)
    expected = expected_numbers(inputs, data)
    for part, (heading, values) in zip(parts, expected.items(), strict=True):
        assert heading in part
        names = re.findall(command, part)
        text = " ".join(str(results[name]) for name in names if name in results)
        found = re.findall(r"-?\d+\.?\d*", re.sub(r"\[3pt\]|column\{3\}", "", text))
        places = [len(number.partition(".")[2]) for number in found]
        pairs = zip(np.hstack(values), places, strict=True)
        assert found == [f"{value:.{digits}f}" for value, digits in pairs]
    handout, tight, best = (inputs[name] for name in ARGUMENTS)
    bold = re.findall(r"\\textbf\{(.*?)\}", blocks["fitrows"])
    assert bold == [f"{fits['bic']:.2f}" for fits in (tight[3], best[4], handout[6])]


SOURCE = (ROOT / "writeup" / "make_numbers.py").read_text()
CLAIMS = re.findall(r'claim\(\s*"(.*?)"', SOURCE)
# How many of them a change makes false, which is small, and in one place.
CHANGES = {
    "del handout[6]": 1,
    "handout[2]['ll'] = -989.9": 1,
    "handout[4]['ll'] = -989.7": 2,
    "starts['by tol'][4] = [-989.7, -989.8]": 2,
    "best[4]['means'][1] = 7": 7,
    "tight[5]['ll'] = -985": 1,
    "paths[2][0, 2, 1] = 30": 1,
    "handout[4]['weights'][0] += 0.01": 1,
    "handout[2]['means'][1] = 9": 1,
    "handout[3]['means'][1] = 4": 1,
    "handout[6]['weights'][5] += 0.02": 1,
    "starts['spread'], starts['centres'] = starts['centres'], starts['spread']": 3,
    "starts['shifted'][4][40]['ll'][0] = -895": 2,
    "starts['shifted'][4][40]['ll'][1] = -895": 1,
    "data = np.repeat([2.0, 5, 9, 14], 100)": 13,
    "data = np.append(data, [3.2] * 40)": 2,
    "message = message.replace('k = 6', 'k = 5')": 1,
    "best[5]['bic'] = 1856": 1,
    "best[6]['varis'][4] = 0.1": 1,
    "best[3]['ll'] = -990": 1,
    "restarts['ends'][5][0] = [-880.9, 50]": 3,
    "restarts['ends'][5][0] = [-880.9, 1]": 1,
    "spike['means'][4] += 1e-5": 1,
    "spike['varis'][4] = 1e-3": 1,
    "spike['ll'] -= 7": 1,
    "restarts['few'] = 1.9": 1,
    "best[4]['start'] = 'random 1 of 9'": 1,
    "heldout['ll'][5][2][7] += 50": 2,
    "heldout['ll'][2][0].pop()": 1,
}


def test_every_sentence_is_refused_where_it_is_not_true(inputs, monkeypatch):
    for words in CLAIMS:
        with pytest.raises(SystemExit, match=re.escape(words)):  # and the sentence
            make_numbers.claim(words, False)
    refused, counts = [], {}
    claim = "claim", lambda words, true: true or refused.append(words)
    monkeypatch.setattr(make_numbers, *claim)
    for change in CHANGES:
        changed = copy.deepcopy(inputs)
        exec(change, {"np": np}, changed)
        with contextlib.suppress(KeyError, TypeError, ValueError):
            dict(make_numbers.results(**changed))
        counts[change] = len(refused) - sum(counts.values())
    assert counts == CHANGES
    assert set(refused) == set(CLAIMS)


def test_every_number_in_the_prose_is_generated(prose):
    commands = r"\\result\{.*?\}|\\(includegr|cmidr|multic|begin|setl|hsp)\S*|\[\dpt\]"
    headings = r"Homework 10|Problems? 2\.[34]( and 2\.4)?"
    handouts = r"\$(k = )?[2-6](, \\dots, 6)?\$|\\tfrac32|\$10k\$"
    prose = re.sub(f"{commands}|{headings}|{handouts}", "", prose)
    assert re.findall(r"\d", "".join(prose.split("$")[::2])) == []  # between formulas
    assert re.findall(r"\d+\.\d+|\d{2,}|[4-9]", prose) == []  # formulas: 0, 1, 2 and 3
