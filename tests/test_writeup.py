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
from make_numbers import mixture

TEX = re.sub(r"(?m)(?<!\\)%.*$", "", (ROOT / "writeup" / "writeup.tex").read_text())
PROSE = " ".join(TEX.partition(r"\begin{document}")[2].split())
KS, KEYS = (2, 3, 4, 5, 6), ("weights", "means", "varis")
# The mixture of data.txt, written out so that a change of make_data.py shows.
MEANS, SDS, SIZE = [2, 4.5, 9, 14], np.array([0.6, 0.3, 0.6, 1.2]), 100
MIDDLE = 6.4011  # of the gap between the second and the third


def densities(data, weights, means, varis):
    """Return the weighted density of each component at each value, (n, k)."""
    return norm.pdf(data[:, None], means, np.sqrt(varis)) * weights


def log_likelihood(data, *mixture):
    return np.log(densities(data, *mixture).sum(axis=1)).sum()


def bic(k, ll):
    return (3 * k - 1) * np.log(400) - 2 * ll


def start_of(data, k, shift=0):
    """Return the handout's start, its means shifted to the left."""
    means = min(data) + (np.arange(1, k + 1) - shift) / k * np.ptp(data)
    return np.full(k, 1 / k), means, np.ones(k)


def end_of(data, k, tol, shift=0):
    return float(textbook(data, k, tol, start_of(data, k, shift))[3])


@pytest.fixture(scope="module")
def inputs():
    return make_numbers.read()


# ---- The saved results are those of the scripts ----
def test_data_is_what_make_data_prints():
    printed = run("writeup/make_data", text=False).stdout
    assert printed == (ROOT / "data.txt").read_bytes()


ARGUMENTS = {"handout": "2-6 1", "tight": "2-6 1e-6 --restarts 0"}
ARGUMENTS["best"] = "2-4 1e-6 --restarts 100"


@pytest.mark.parametrize("series", ARGUMENTS)
def test_the_saved_fits_are_those_of_gmm_em(series, inputs, data, tmp_path):
    result = run("gmm-em", "data.txt", *ARGUMENTS[series].split())
    (tmp_path / "fits.txt").write_text(result.stdout)
    for k, fit in make_numbers.read_fits(tmp_path).items():
        saved = inputs[series][k]
        for key in ("data", "n", "tol", "restarts", "seed", "start", "iterations"):
            assert saved[key] == fit[key]
        for key in (*KEYS, "ll", "bic"):
            assert saved[key] == pytest.approx(fit[key], rel=1e-6)
    for k, saved in inputs[series].items():
        ll = log_likelihood(data, *mixture(saved))
        assert (saved["ll"], saved["bic"]) == pytest.approx((ll, bic(k, ll)), abs=1e-8)
    assert series != "tight" or result.stderr == inputs["message"]


def test_other_starts_end_where_the_handouts_loop_ends(inputs, data):
    for k, percent in (4, 0), (4, 30), (5, 77):
        saved = inputs["starts"]["shifted"][k][percent]
        lls = [end_of(data, k, tol, percent / 100) for tol in (1, 1e-6)]
        assert saved["ll"] == pytest.approx(lls, abs=1e-5)
        _, means, _ = start_of(data, k, percent / 100)
        assert saved["left"] == sum(means < MIDDLE)
        assert saved["nearest"] == pytest.approx(min(abs(means - MIDDLE)), abs=1e-3)


# ---- The writeup says what they say ----
def merged(mixture, members):
    """Return the mixture with one component in the place of the members."""
    weights, means, varis = (values[members] for values in mixture)
    total = sum(weights)
    mean = sum(weights * means) / total
    one = total, mean, sum(weights * (varis + means**2)) / total - mean**2
    return [np.append(np.delete(v, members), x) for v, x in zip(mixture, one)]


def share_across(data, k):
    """Return of component 1 at the start the % across, that needed, two averages."""
    terms, right = densities(data, *start_of(data, k)), data > MIDDLE
    gammas, across = terms[:, 0] / terms.sum(axis=1), ~right if k == 2 else right
    here, there = (np.average(data[s], weights=gammas[s]) for s in (~across, across))
    needed = (MIDDLE - here) / (there - here)
    return 100 * sum(gammas[across]) / sum(gammas), 100 * needed, here, there


def named(names, *values):
    return dict(zip(names.split(), values, strict=True))


def expected_numbers(inputs, data):
    """Return {name: number or numbers} for all in the prose that is no setting."""
    handout, tight, best = (inputs[name] for name in ARGUMENTS)
    fits, lls = {k: mixture(handout[k]) for k in KS}, {k: handout[k]["ll"] for k in KS}
    starts, heldout = inputs["starts"], inputs["heldout"]
    found = {f"change.{k}": abs(lls[k] - lls[k - 1]) for k in KS[1:]}
    as_one = log_likelihood(data, *merged(fits[4], [2, 3]))
    path = np.array(textbook(data, 4, 1e-6)[4], float)
    found |= named("as.one as.two stop last.step", as_one, lls[4], 3, path[2] - path[1])
    steps = np.diff(path[2:])
    values = len(steps), sum(steps), max(steps)
    found |= named("more.steps more.change more.most", *values)
    found |= {f"fall.{k}": end_of(data, k, 1e-2) for k in (3, 4)}
    found |= {f"rise.{k}": end_of(data, k, 1e-3) for k in (3, 4)}
    low, high = max(itertools.pairwise(sorted(data)), key=np.diff)
    place = (MIDDLE - min(data)) / np.ptp(data)
    found |= named("gap.low gap.high middle gap.share", low, high, MIDDLE, place)
    found |= {"left.means": [int(place * k) for k in KS]}
    found |= named("left.values right.values", sum(data <= low), sum(data >= high))
    found |= named("across needed near beyond", *share_across(data, 3))
    found |= named("across.2 needed.2", *share_across(data, 2)[:2])
    found |= named("stuck.weight stuck.mean", fits[5][0][0], fits[5][1][0])
    found |= named("little handout.2", tight[5]["ll"] - tight[3]["ll"], lls[2])
    found |= {f"first.{k}": end_of(data, k, 1, shift=1) for k in (2, 4, 5)}
    ends = starts["shifted"][4] + starts["shifted"][5]
    far = [end for end in ends if end["nearest"] > 0.35]
    collapses = sum(end["ll"].count(None) for end in far)
    found |= named("shifted.near shifted.collapse", len(ends) - len(far), collapses)
    for count, worst in (1, max), (2, min):
        of_count = [end["ll"] for end in far if end["left"] == count]
        limit = worst(filter(None, itertools.chain(*of_count)))
        found |= named(f"shifted.{count} shifted.ll.{count}", len(of_count), limit)
    low, high = pair = min(itertools.pairwise(sorted(data)), key=np.diff)
    spike = [[1 / 200], [np.mean(pair)], [np.var(pair)]]
    start = np.hstack([mixture(best[4]), spike]) * [[0.995] * 4 + [1], [1] * 5, [1] * 5]
    ll = float(textbook(data, 5, 1e-6, start)[3])
    collapses = inputs["spikes"]["ll"].count(None)
    found |= named("pairs.collapse spike.bic", collapses, bic(5, ll))
    found |= named("pair.low pair.high collapse.value", low, high, max(data))
    four, ends = merged(fits[6], [3, 4, 5]), np.array(inputs["seeds"]["ll"][6])
    ll, (step_ll, *_) = log_likelihood(data, *four), textbook(data, 4, 1, four)[4]
    pairs = [[i, j] for j in range(4) for i in range(j)]
    costs = [ll - log_likelihood(data, *merged(four, pair)) for pair in pairs]
    found |= named("six.fall six.ll six.bic", lls[6] - ll, ll, bic(4, ll))
    found |= named("six.missing six.pairs", best[4]["ll"] - float(step_ll), min(costs))
    found |= named("six.weight needed.gain", four[0][3], 1.5 * np.log(400))
    options = "--restarts", 100, "--seed", np.argmin(ends)
    printed = run("gmm-em", "data.txt", 6, 1e-6, *options).stdout
    least = float(re.search(r"(?m)^ll: (.*)$", printed)[1])
    found |= named("seeds.six seeds.least", sum(ends > max(ends) - 1e-3), least)
    found |= {f"centre.{i + 1}": mean for i, mean in enumerate(best[4]["means"])}
    found |= {f"gain.{k}": best[k]["ll"] - best[k - 1]["ll"] for k in (4, 5, 6)}
    found |= {f"heldout.{k}": np.mean(heldout["splits"][k]) for k in KS}
    for k in (5, 6):
        weights, means, varis = mixture(best[k])
        points, places = 400 * weights[varis < 0.01], means[varis < 0.01]
        found |= named(f"needles.{k} needles.at.{k}", points, places)
        lead = np.subtract(heldout["values"][4], heldout["values"][k])
        found |= named(f"lead.{k} lead.error.{k}", sum(lead), 20 * lead.std(ddof=1))
    off = [(best[4]["means"] - MEANS) / SDS * SIZE**0.5]
    off += [(best[4]["varis"] / SDS**2 - 1) * (SIZE / 2) ** 0.5]
    found |= {"worst": np.abs(off).max(), "true.means": MEANS}
    return found | {"true.varis": SDS**2}


# What the scripts were told, not what they found.
SETTINGS = {"n", "restarts", "tol.tight", "tol.fall", "tol.rise", "same", "last"}
SETTINGS |= {"shifts", "shifted", "margin", "pairs", "few", "seeds.last", "size"}
SETTINGS |= {"bins.narrow", "bins.wide", "heldout.splits", "collapse.component"}


def assert_right(text, values):
    """Compare the numbers in TeX with values, to the digits shown; 10^{-6}: 10, -6."""
    found = re.findall(r"-?\d+\.?\d*", text)
    places = [len(number.partition(".")[2]) for number in found]
    pairs = zip(np.ravel(values), places, strict=True)
    assert found == [f"{value:.{digits}f}" for value, digits in pairs]


def test_every_number_in_the_prose_is_right(inputs, data):
    results = dict(make_numbers.results(**inputs))
    assert set(results) == set(re.findall(r"\\result\{(.*?)\}", PROSE))
    expected = expected_numbers(inputs, data)
    assert set(results) - set(expected) == SETTINGS
    for name, numbers in expected.items():
        assert_right(str(results[name]), numbers)


def test_the_formulas_and_the_table_are_right(inputs):
    blocks = dict(make_numbers.blocks(**inputs))
    handout, tight, best = series = [inputs[name] for name in ARGUMENTS]
    lines = [*blocks["formulas"].split(r"\\[3pt]"), blocks["answer"]]
    for line, fit in zip(lines, [*handout.values(), best[4]], strict=True):
        assert_right(line, [fit["k"], *np.ravel(mixture(fit), "F")])  # π, µ, σ² of each
    for k, row in zip(KS, blocks["fitrows"].split("\n"), strict=True):
        cells = [k]
        for fits in series:
            keys = ("iterations", "ll", "bic")[fits is best :]
            cells += [fits[k][key] for key in keys] if k in fits else [3]  # columns
        ends = inputs["seeds"]["ll"][k]
        assert_right(row, [*cells, sum(ll > max(ends) - 0.001 for ll in ends)])
    bold = re.findall(r"\\textbf\{(.*?)\}", blocks["fitrows"])
    assert bold == [f"{fits['bic']:.2f}" for fits in (tight[3], best[4], handout[6])]


SOURCE = (ROOT / "writeup" / "make_numbers.py").read_text().replace(r"\\", "\\")
CLAIMS = set(re.findall(r'claim\(\s*"(.*?)"', SOURCE))
CHANGES = """
del handout[6]
handout[2]['ll'] = -989.9; handout[2]['means'][1] = 9; handout[4]['ll'] = -989.7
handout[4]['means'][2:] = 20; handout[5]['ll'] = -890; tight[5]['ll'] = -985
handout[4]['weights'][0] += 0.01; handout[4]['means'][1] = 5
paths[4][1][1] -= 2; paths[4][1][-1] -= 1; paths[5][0][0, 1] = 2, 3, 4, 5, 6.3
paths[4][1][-1] += 1; best[4]['means'][1] = 7; best[6]['varis'][2] = 0.1
starts['by tol'][4] = [-989.7, -989.8]; starts['shifted'][4][90]['ll'][1] = -950
starts['shifted'][4][55:63] = []; starts['shifted'][5][19:28] = []; message = ''
spikes['ll'][0] = -880; heldout['splits'][5][2] += 9; heldout['folds'] = 5
data = np.append(data, [25] + [3.2] * 40); starts['shifted'][4][0]['ll'] = None, 1
data = np.repeat([2.0, 5, 9, 14], 100)
best[4]['ll'] = -985; best[4]['restarts'] = 50; spikes['best'][0][4] = 0.01
best[5]['bic'] = 1856; best[5]['ll'] += 7; seeds['ll'][6][4] += 1
seeds['ll'][6][9] -= 30; seeds['ll'][4][9] -= 30
heldout['values'][5] = heldout['values'][4][::-1]; bars = [1], [0, 9]
"""


def test_every_sentence_is_refused_where_it_is_not_true(inputs, monkeypatch):
    for words in CLAIMS:
        with pytest.raises(SystemExit, match=re.escape(words)):  # and the sentence
            make_numbers.claim(words, False)
    refused = []
    claim = "claim", lambda words, true: true or refused.append(words)
    monkeypatch.setattr(make_numbers, *claim)
    for change in CHANGES.strip().splitlines():
        changed = copy.deepcopy(inputs)
        exec(change, {"np": np}, changed)
        with contextlib.suppress(KeyError, TypeError, ValueError):
            dict(make_numbers.results(**changed))
    assert set(refused) == CLAIMS


def test_every_number_in_the_prose_is_generated():
    commands = r"\\result\{.*?\}|\\(includegr|cmidr|multic|begin|setl|hsp)\S*|\[\dpt\]"
    headings = r"Homework 10|Problems? 2\.[34]( and 2\.4)?"
    handouts = r"\$(k = )?[2-6](, \\dots, 6)?\$|\\tfrac32|\$10k\$"
    prose = re.sub(f"{commands}|{headings}|{handouts}", "", PROSE)
    assert re.findall(r"\d", "".join(prose.split("$")[::2])) == []  # between formulas
    assert re.findall(r"\d+\.\d+|\d{2,}|[4-9]", prose) == []  # formulas: 0, 1, 2 and 3
