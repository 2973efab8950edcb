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
KS = 2, 3, 4, 5, 6
# The mixture of data.txt, written out so that a change of make_data.py shows.
MEANS, SDS, SIZE = [2, 4.5, 9, 14], np.array([0.6, 0.3, 0.6, 1.2]), 100
UP = 0.005  # added before rounding to two decimals, it makes a bound that holds
MIDDLE = 6.4011  # of the gap between the second and the third


def densities(data, weights, means, varis):
    """Return the weighted density of each component at each value, (n, k)."""
    return norm.pdf(data[:, None], means, np.sqrt(varis)) * weights


def log_likelihood(data, *mixture):
    return np.log(densities(data, *mixture).sum(axis=1)).sum()


def bic(k, ll):
    return (3 * k - 1) * np.log(400) - 2 * ll


def handout_means(data, k, shift=0):
    """Return the handout's means, shifted to the left by a share of their distance."""
    return min(data) + (np.arange(1, k + 1) - shift) / k * np.ptp(data)


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
        np.testing.assert_allclose(mixture(saved), mixture(fit), rtol=1e-6)
    for k, saved in inputs[series].items():
        ll = log_likelihood(data, *mixture(saved))
        assert (saved["ll"], saved["bic"]) == pytest.approx((ll, bic(k, ll)), abs=1e-8)
    assert series != "tight" or result.stderr == inputs["message"]


def test_other_starts_end_where_the_handouts_loop_ends(inputs, data):
    starts, means = inputs["starts"], {k: handout_means(data, k) for k in KS}
    wanted = [(starts["moved"][k], [*means[k][:-1], min(data)]) for k in (3, 4, 5)]
    wanted += [(starts["second"], [means[4][0], 3, *means[4][2:]])]
    wanted += zip(starts["two"], ([3, max(data)], [7, 9]))
    wanted += [(starts["left only"][k - 3], means[k][: k // 3]) for k in KS[1:]]
    wanted += [(starts["right only"][k - 3], means[k][k // 3 :]) for k in (3, 5, 6)]
    wanted += [(starts["shifted"][4][30], handout_means(data, 4, 0.30))]
    wanted += [(starts["shifted"][5][77], handout_means(data, 5, 0.77))]
    for end, means in wanted:
        k, off = len(means), np.array(means) - MIDDLE
        start = np.full(k, 1 / k), means, np.ones(k)
        fits = [textbook(data, k, tol, start) for tol in (1, 1e-6)]
        assert end["ll"] == pytest.approx([float(fit[3]) for fit in fits], abs=1e-5)
        assert end["left"] == [sum(off < 0), *(sum(fit[1] < MIDDLE) for fit in fits)]
        assert end["nearest"] == pytest.approx(min(abs(off)), abs=1e-3)


# ---- The writeup says what they say ----
def merged(mixture, members):
    """Return the mixture with one component in the place of the members."""
    weights, means, varis = (values[members] for values in mixture)
    mean, square = (np.average(v, weights=weights) for v in (means, varis + means**2))
    one = sum(weights), mean, square - mean**2
    return [np.append(np.delete(v, members), x) for v, x in zip(mixture, one)]


def named(names, *values):
    return dict(zip(names.split(), values, strict=True))


def expected_numbers(data, handout, tight, best, starts, seeds, spikes, heldout, **_):
    """Return {name: number or numbers} for all in the prose that is no setting."""
    fits, lls = {k: mixture(handout[k]) for k in KS}, {k: handout[k]["ll"] for k in KS}
    found = {f"change.{k}": abs(lls[k] - lls[k - 1]) for k in KS[1:]}
    values = lls[3] - lls[5], tight[4]["iterations"], tight[5]["iterations"]
    found |= named("change.3.to.5 last.4 last.5", *values)
    as_one = log_likelihood(data, *merged(fits[4], [2, 3]))
    last, *more = np.diff(np.array(textbook(data, 4, 1e-6)[4], float))[1:]
    found |= named("as.one as.two stop more.steps", as_one, lls[4], 3, len(more))
    found |= named("last.step more.change more.most", last, sum(more), max(more) + UP)
    runs = [textbook(data, k, tol) for k, tol in ((3, 1e-2), (4, 1e-2), (4, 1e-3))]
    found |= named("fall.3 fall.4 rise.4", *(float(run[3]) for run in runs))
    low, high = max(itertools.pairwise(sorted(data)), key=np.diff)
    place = (MIDDLE - min(data)) / np.ptp(data)
    found |= named("gap.low gap.high middle gap.share", low, high, MIDDLE, place)
    terms, right = densities(data, 1 / 3, handout_means(data, 3), 1), data > MIDDLE
    gammas = terms[:, 0] / terms.sum(axis=1)  # of the first component for k = 3
    near, far = (np.average(data[s], weights=gammas[s]) for s in (~right, right))
    found |= named("near far needed", near, far, 100 * (MIDDLE - near) / (far - near))
    across = 100 * sum(gammas[right]) / sum(gammas)
    found |= {"across": across, "left.means": [int(place * k) for k in KS]}
    found |= named("stuck.weight stuck.mean", fits[5][0][0], fits[5][1][0])
    found |= named("little handout.2", tight[5]["ll"] - tight[3]["ll"], lls[2])
    ends = *starts["moved"].values(), starts["second"], *starts["two"]
    names = "moved.3 moved.4 moved.5 second two.left.ll two.right.ll"
    found |= named(names, *(end["ll"][0] for end in ends))
    found |= named("second.at two.left two.right", 3, [3, max(data)], [7, 9])
    ends = starts["shifted"][4] + starts["shifted"][5]
    passed = [e["left"][0] != e["left"][2] for e in ends if e["nearest"] <= 0.35]
    found |= named("shifted.near shifted.passed", len(passed), sum(passed))
    for count, worst, up in (2, min, -UP), (1, max, UP):  # only some of 1 collapse
        far = [e for e in ends if e["nearest"] > 0.35 and e["left"][0] == count]
        far_lls = [ll for end in far for ll in end["ll"]]
        values = len(far), worst(filter(None, far_lls)) + up, far_lls.count(None)
        found |= named(f"shifted.{count} shifted.ll.{count} shifted.collapse", *values)
    pair = min(itertools.pairwise(sorted(data)), key=np.diff)
    spike = [[1 / 200], [np.mean(pair)], [np.var(pair)]]
    start = np.hstack([mixture(best[4]), spike]) * [[0.995] * 4 + [1], [1] * 5, [1] * 5]
    ll = float(textbook(data, 5, 1e-6, start)[3])
    found |= named("pairs.collapse spike.bic", spikes["ll"].count(None), bic(5, ll))
    found |= named("pair.low pair.high collapse.value", *pair, max(data))
    four, ends = merged(fits[6], [3, 4, 5]), np.array(seeds["ll"][6])
    ll, (step_ll, *_) = log_likelihood(data, *four), textbook(data, 4, 1, four)[4]
    pairs = [[i, j] for j in range(4) for i in range(j)]
    costs = [ll - log_likelihood(data, *merged(four, pair)) for pair in pairs]
    values = lls[6] - ll, ll, bic(4, ll), best[4]["ll"] - float(step_ll), four[0][3]
    found |= named("six.fall six.ll six.bic six.missing six.weight", *values)
    found |= named("six.pairs needed.gain", min(costs) - UP, 1.5 * np.log(400))
    found |= named("seeds.six seeds.least", sum(ends > max(ends) - 1e-3), min(ends))
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
    truth = named("true.means true.varis", MEANS, SDS**2)
    return found | truth | {"worst": np.abs(off).max() + UP}


# What the scripts were told, not what they found.
SETTINGS = """n restarts tol.tight tol.fall tol.rise same last shifts shifted margin
pairs seeds.last size bins.narrow bins.wide heldout.splits collapse.component"""


def assert_right(text, values):
    """Compare the numbers in TeX with values, to the digits shown; 10^{-6}: 10, -6."""
    found = re.findall(r"-?\d+\.?\d*", text)
    places = [len(number.partition(".")[2]) for number in found]
    pairs = zip(np.ravel(values), places, strict=True)
    assert found == [f"{value:.{digits}f}" for value, digits in pairs]


def test_every_number_in_the_prose_is_right(inputs):
    results = dict(make_numbers.results(**inputs))
    assert set(results) == set(re.findall(r"\\result\{(.*?)\}", PROSE))
    expected = expected_numbers(**inputs)
    assert set(results) - set(expected) == set(SETTINGS.split())
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
handout, best = best, handout; starts['moved'][3]['left'] = [1] * 3
data = np.repeat([2.0, 5, 9, 14], 100)
data = 17 - data; starts['shifted'][4][0]['ll'] = None, 1
data = data[::2]; bars = [1], [0, 9]; heldout['folds'] = 5; handout[2]['ll'] = -989.9
del handout[6]
tight = handout; paths[4][1].reverse(); paths[3][0][0, 1] = 6, 6.3, 30
heldout['splits'][5][2] += 9; spikes['best'][0][4] = 1; seeds['ll'][4][9] -= 30
heldout['values'][4][0] -= 9; starts['by tol'][4].reverse(); best[4]['means'][0] = 1
starts['right only'][0]['left'][1] = 0; starts['second'] = starts['moved'][4].copy()
starts['shifted'][4].reverse(); handout[4]['means'][2:] = 20
"""


def test_every_sentence_is_refused_where_it_is_not_true(inputs, monkeypatch):
    for words in CLAIMS:
        with pytest.raises(SystemExit, match=re.escape(words)):  # and the sentence
            make_numbers.claim(words, False)
    refused = []
    monkeypatch.setattr(make_numbers, "claim", lambda w, ok: ok or refused.append(w))
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
