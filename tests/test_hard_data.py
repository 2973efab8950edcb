"""Data on which textbook EM breaks down: a right fit, or a ValueError that says why there is none.

The oracle is the loop of the handout in long double, with every sum written out.
"""

import contextlib
import math
import re
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

EPS = np.finfo(float).eps
needs_long_double = pytest.mark.skipif(
    np.finfo(np.longdouble).eps > 1e-18, reason="long double is no longer than a double here"
)

# Velocities of 82 galaxies in km/s: Postman, Huchra and Geller, Astronomical Journal 92 (1986);
# Roeder, Journal of the American Statistical Association 85 (1990). R's MASS has a misprint in
# the 78th, 26690 for 26960.
VELOCITIES = """
    9172 9350 9483 9558 9775 10227 10406 16084 16170 18419 18552 18600 18927 19052 19070 19330 19343
    19349 19440 19473 19529 19541 19547 19663 19846 19856 19863 19914 19918 19973 19989 20166 20175
    20179 20196 20215 20221 20415 20629 20795 20821 20846 20875 20986 21137 21492 21701 21814 21921
    21960 22185 22209 22242 22249 22314 22374 22495 22746 22747 22888 22914 23206 23241 23263 23484
    23538 23542 23666 23706 23711 24129 24285 24289 24366 24717 24990 25633 26960 26995 32065 32789
    34279
"""
GALAXIES = np.array(VELOCITIES.split(), float)


def groups(*parts):
    """Return (size, mean, sd) groups of normal numbers, always the same ones."""
    rng = np.random.RandomState(0)
    return np.concatenate([rng.normal(mean, sd, size) for size, mean, sd in parts])


PLAIN = groups((150, 2, 0.6), (100, 6, 0.8), (50, 14, 1.2))
BINNED = np.round(4 * PLAIN) / 4
EPOCH = 1.7e9 + groups((300, 0, 1), (300, 6, 1))


def handout_start(data, k):
    low, high = data.min(), data.max()
    return np.full(k, 1 / k), [low + i * (high - low) / k for i in range(1, k + 1)], np.ones(k)


def textbook(data, k, tol, start=None):
    """Return weights, means, varis, ll and the number of iterations, in long double."""
    x = np.asarray(data, np.longdouble)
    weights, means, varis = (np.array(a, np.longdouble) for a in (start or handout_start(x, k)))
    pi = 4 * np.arctan(np.longdouble(1))

    def log_joint():
        with np.errstate(divide="ignore"):
            log_weights = np.log(weights)
        return np.stack(
            [
                log_weights[i] - np.log(2 * pi * varis[i]) / 2 - (x - means[i]) ** 2 / varis[i] / 2
                for i in range(k)
            ]
        )

    previous, iteration = np.nan, 0
    while True:
        iteration += 1
        log_terms = log_joint()
        gammas = np.exp(log_terms - np.logaddexp.reduce(log_terms, axis=0))
        for i in range(k):
            count = gammas[i].sum()
            weights[i] = count / len(x)
            if count > 0:
                means[i] = (gammas[i] * x).sum() / count
                varis[i] = (gammas[i] * (x - means[i]) ** 2).sum() / count
        ll = np.logaddexp.reduce(log_joint(), axis=0).sum()
        if abs(ll - previous) < tol:
            return weights, means, varis, ll, iteration
        previous = ll


def train(em, data, k, tol, start=None):
    """Return what em.train does, and the ll after every iteration."""
    lls = []
    fit = em.train(data, k, tol, start=start, report=lambda iteration, ll, change: lls.append(ll))
    return *fit, lls


def assert_fits_like_the_textbook(em, data, k, tol, start=None):
    weights, means, varis, ll, lls = train(em, data, k, tol, start)
    expected = [np.asarray(a, float) for a in textbook(data, k, tol, start)]
    spread = np.ptp(np.asarray(data, float))
    np.testing.assert_allclose(weights, expected[0], rtol=1e-9, atol=1e-12)
    # A mean is returned as a double, which far from 0 has its last digit at 1e-16 of the offset.
    np.testing.assert_allclose(
        means, expected[1], rtol=0, atol=1e-9 * spread + np.spacing(np.abs(means).max())
    )
    np.testing.assert_allclose(varis, expected[2], rtol=1e-9)
    np.testing.assert_allclose(ll, expected[3], rtol=1e-9, atol=1e-9 * len(data))
    assert len(lls) == expected[4]


def scaled(start, unit):
    return start[0], np.multiply(start[1], unit), np.multiply(start[2], unit**2)


UNITS = [1e-9, 1e-6, 1e-3, 1 / 3, 1.0, 1e3, 1e6, 1e9, 1e12]


@needs_long_double
@pytest.mark.parametrize("unit", UNITS)
def test_agrees_with_long_double_in_any_unit(em, unit):
    start = scaled(handout_start(PLAIN, 3), unit)
    assert_fits_like_the_textbook(em, PLAIN * unit, 3, 1e-6, start)


@needs_long_double
@pytest.mark.parametrize("unit", UNITS)
def test_agrees_with_long_double_from_the_handouts_start_in_any_unit(em, unit):
    assert_fits_like_the_textbook(em, PLAIN * unit, 2, 1e-6)


HARD = {
    "epoch seconds": (EPOCH, 2, 1e-6),
    "negative epoch seconds": (-EPOCH, 2, 1e-6),
    "values 1e-6 apart": (5 + 1e-6 * PLAIN, 2, 1e-6),
    "an integer range of 1e6": (np.round(1e6 * PLAIN).astype(np.int64), 3, 1e-6),
    "an outlier a million sds away": (groups((200, 0, 1), (20, 1e6, 1)), 2, 1e-6),
    "k = 1 with a lone outlier a million sds away": (groups((200, 0, 1), (1, 1e6, 1)), 1, 1e-6),
    "far groups, components between them": (groups((60, 0, 1), (60, 1e4, 1)), 5, 1e-6),
    "two points": (np.array([0.25, 1.75]), 1, 1e-6),
    "twelve components for fifteen points": (groups((15, 0, 3)), 12, 1.0),
    "binned": (BINNED, 3, 1e-6),
    "mostly ties": (np.repeat([1.0, 2.0, 3.0, 5.0, 7.0, 8.0], [40, 3, 30, 4, 50, 9]), 2, 1e-3),
    "galaxies": (GALAXIES, 1, 1e-6),
}


@needs_long_double
@pytest.mark.parametrize("name", HARD)
def test_agrees_with_long_double_on_hard_data(em, name):
    assert_fits_like_the_textbook(em, *HARD[name])


@needs_long_double
@pytest.mark.parametrize("k", [3, 4, 5])
def test_agrees_with_long_double_where_every_density_underflows(em, k):
    """In km/s no galaxy but the last is within 38 standard deviations of any initial mean."""
    distances = np.abs(GALAXIES - np.array(handout_start(GALAXIES, k)[1])[:, None]).min(axis=0)
    assert np.median(distances) > 38  # exp(-38²/2) is the least that a normal double holds
    assert_fits_like_the_textbook(em, GALAXIES, k, 1e-3)


def test_the_published_fit_of_the_galaxies_comes_out_in_either_unit(em):
    """McLachlan and Peel (2000): for three components, in 1000 km/s, ll = -203.4820."""
    assert len(GALAXIES) == 82
    assert em.train(GALAXIES / 1000, 3, 1e-8)[3] == pytest.approx(-203.4820, abs=5e-5)
    start = [0.1, 0.8, 0.1], [9700, 21400, 33000], [1e5, 4e6, 1e6]
    ll = em.train(GALAXIES, 3, 1e-8, start=start)[3]
    assert ll + 82 * math.log(1000) == pytest.approx(-203.4820, abs=5e-5)


def test_variances_of_epoch_seconds_are_right_to_six_digits(em):
    """The truth is the variance of each group about its own mean: they are 60 sds apart."""
    left, right = groups((300, 0, 1)), groups((500, 60, 1))
    left, right = (np.round(part * 2**20) / 2**20 for part in (left, right))
    varis = em.train(1.7e9 + np.concatenate([left, right]), 2, 1e-6)[2]
    stored = [(1.7e9 + part) - 1.7e9 for part in (left, right)]  # exact, by Sterbenz's lemma
    np.testing.assert_allclose(varis, [np.var(part) for part in stored], rtol=1e-6)


def test_one_m_step_far_from_0_keeps_the_digits_of_the_variance(em):
    """On such data E[x²] - µ² gives 6.0, or less than 0; `train` would hide that by its shift."""
    data = 1e8 + groups((1000, 0, 0.1))
    varis = em.maximization(data, np.ones((1, len(data))))[2]
    assert varis[0] == pytest.approx(np.var(data - 1e8), rel=1e-9)


def test_two_points_one_component_is_their_mean_and_variance(em):
    weights, means, varis, ll = em.train([1.0, 4.0], 1, 1e-9)
    assert (weights, means, varis) == (1, 2.5, 2.25)
    assert ll == pytest.approx(-math.log(2 * math.pi * 2.25) - 1)


ENDLESS = {
    "plain": (PLAIN, 3),
    "binned": (BINNED, 4),
    "epoch seconds": (EPOCH, 2),
    "a unit of 1e12": (1e12 * PLAIN, 2),
    "a unit of 1e-9, where components coincide": (1e-9 * PLAIN, 3),
    "two points": (np.array([0.0, 1.0]), 1),
    "an outlier": (groups((200, 0, 1), (20, 1e6, 1)), 2),
    "uniform": (np.arange(100.0), 3),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_tol_below_the_rounding_of_ll_ends_by_itself(em, name):
    data, k = ENDLESS[name]
    *_, ll, lls = train(em, data, k, 1e-300)
    resolution = 16 * EPS * (len(data) + abs(ll))
    assert abs(lls[-1] - lls[-2]) <= resolution
    assert ll >= em.train(data, k, 1e-6)[3] - resolution


@pytest.mark.parametrize("sd, seed", [(3e-14, 0), (3e-14, 2), (1e-13, 5), (1e-12, 17)])
def test_a_mean_that_wavers_by_its_rounding_does_not_keep_em_going(em, sd, seed):
    """Where sd is some hundred roundings of the mean, one more or less moves ll by up to 1e-3."""
    rng = np.random.RandomState(seed)
    data = np.concatenate([rng.normal(-1, sd, 10), rng.normal(1, sd, 30)])
    start = [0.4, 0.3, 0.3], [-1, 1 - sd, 1 + sd], [sd**2] * 3

    def report(iteration, ll, change):
        assert iteration < 10_000, "EM goes round in circles"

    with contextlib.suppress(em.Collapse):  # another way to end
        em.train(data, 3, 1e-300, start=start, report=report)


def random_start(rng, data, k):
    means = rng.uniform(data.min(), data.max(), k)
    return rng.dirichlet(np.ones(k)), means, np.var(data) * 10 ** rng.uniform(-2, 1, k)


@pytest.mark.parametrize("data", [PLAIN, BINNED, EPOCH, GALAXIES, 1e-9 * PLAIN])
@pytest.mark.parametrize("k", [2, 3, 5])
def test_ll_never_falls_from_any_start(em, data, k):
    rng = np.random.default_rng(k)
    for start in [None, *(random_start(rng, data, k) for _ in range(8))]:
        lls = []

        def report(iteration, ll, change, lls=lls):
            lls.append(ll)

        # A collapse ends a run as well: ll has risen until then.
        with contextlib.suppress(em.Collapse):
            em.train(data, k, 1e-4, start=start, report=report)
        assert (np.diff(lls) >= -8 * EPS * (len(data) + np.abs(lls[1:]))).all()


def test_the_functions_composed_by_hand_are_what_train_does(em):
    parameters = em.initialize(PLAIN, 3)
    *fit, lls = train(em, PLAIN, 3, 1e-3)
    for ll in lls:
        parameters = em.maximization(PLAIN, em.expectation(PLAIN, *parameters))
        assert em.log_likelihood(PLAIN, *parameters) == pytest.approx(ll, rel=1e-12)
    np.testing.assert_allclose(parameters, fit[:3], rtol=1e-9)


def test_the_number_of_threads_changes_no_byte(em, monkeypatch):
    monkeypatch.setattr(em, "BLOCK", 2**10)
    data = np.tile(PLAIN, 40)  # 36000 elements of gammas: dozens of blocks, enough for threads
    fits = []
    for threads in (1, 2, 7):
        monkeypatch.setattr(em, "cores", lambda threads=threads: threads)
        *parameters, ll, lls = train(em, data, 3, 1e-3)
        fits.append((*(a.tobytes() for a in parameters), ll, lls))
    assert fits[0] == fits[1] == fits[2]


def test_the_command_prints_the_same_bytes_run_after_run(run, tmp_path):
    np.savetxt(tmp_path / "many.txt", np.tile(PLAIN, 30))
    commands = [("gmm-em", tmp_path / "many.txt", 3, 1e-3, "--restarts", 2) for _ in range(3)]
    first, *others = [run(*command) for command in commands]
    assert first.returncode == 0
    assert all(other.stdout == first.stdout for other in others)


@pytest.mark.parametrize("data", [PLAIN, EPOCH, 1e6 * PLAIN])
def test_blocks_pooled_give_what_one_block_gives(em, monkeypatch, data):
    whole = em.train(data, 2, 1e-6)
    monkeypatch.setattr(em, "BLOCK", 4 * 7)
    pooled = em.train(data, 2, 1e-6)
    for a, b in zip(pooled, whole):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_memory_mapped_array_gives_the_bytes_of_the_same_text(run, tmp_path):
    np.save(tmp_path / "data.npy", PLAIN)
    (tmp_path / "data.txt").write_text("\n".join(map(repr, PLAIN.tolist())))
    mapped, text = (run("gmm-em", f"data.{end}", 3, 1, cwd=tmp_path) for end in ("npy", "txt"))
    assert mapped.returncode == 0
    assert mapped.stdout == text.stdout.replace("data.txt", "data.npy")


@pytest.mark.parametrize(
    "data, k, message",
    [
        ([1.0, 2.0, 2.0, 3.0], 4, "k = 4 exceeds the 3 distinct values of the data"),
        ([5.0] * 9, 1, "all 9 values are 5.0: constant data has no variance"),
        ([5.0] * 9, 2, "all 9 values are 5.0: constant data has no variance"),
        ([1.7e9], 1, "all 1 values are 1700000000.0: constant data"),
        ([0.0, -0.0], 1, "constant data"),
        ([], 1, "expected numbers, found none"),
        ([[1.0, 2.0]], 1, r"expected one axis of real numbers, found shape \(1, 2\)"),
        ([1.0, math.nan, 2.0], 1, "expected finite numbers, found nan at index 1"),
        ([1.0, 2.0, -math.inf], 1, "expected finite numbers, found -inf at index 2"),
        ([0.0, 5e-324], 1, "squares of data from 0.0 to 5e-324 do not fit a double: rescale"),
        ([-1e308, 1e308], 2, "do not fit a double: rescale"),
    ],
)
def test_what_cannot_be_fitted_is_said_before_the_first_iteration(em, data, k, message):
    def report(*_):
        raise AssertionError("EM started")

    with pytest.raises(ValueError, match=message):
        em.train(data, k, 1e-6, report=report)


@pytest.mark.parametrize(
    "k, tol", [(0, 1), (-1, 1), (1.5, 1), (2, 0), (2, -1), (2, math.nan), (2, math.inf)]
)
def test_a_k_or_tol_without_meaning_is_a_value_error(em, k, tol):
    with pytest.raises(ValueError, match="k ≥ 1 and a finite tol > 0"):
        em.train(PLAIN, k, tol)


@pytest.mark.parametrize(
    "start",
    [
        ([0.5, 0.6], [1, 2], [1, 1]),
        ([-0.5, 1.5], [1, 2], [1, 1]),
        ([0.5, 0.5], [1, math.nan], [1, 1]),
        ([0.5, 0.5], [1, 2], [1, 0]),
        ([1.0], [1], [1]),
    ],
)
def test_a_start_without_meaning_is_a_value_error(em, start):
    with pytest.raises(ValueError, match="expected 2 weights that sum to 1, means, varis > 0"):
        em.train(PLAIN, 2, 1, start=start)


def test_a_collapse_names_component_value_iteration_and_remedy(run, root):
    """The six components of Problem 2.3, but with a tol that lets EM go on to the end."""
    done = run("gmm-em", "data.txt", 6, 1e-6)
    message = (
        r"gmm-em.py: error: data.txt: component 6 collapsed onto the value (\S+) "
        r"in iteration (\d+), where the likelihood is unbounded: "
        r"use fewer components, a larger tol, or --restarts\n"
    )
    found = re.fullmatch(message, done.stderr)
    assert found and done.returncode == 1 and done.stdout == ""
    assert np.abs(np.loadtxt(root / "data.txt") - float(found[1])).min() < 1e-6
    assert int(found[2]) > 100


TIED = np.concatenate([groups((50, 0, 1)), [3.3, 3.3, 3.3]])
TIED_START = np.array([0.9, 0.1]), np.array([0, 3.3]), np.array([1, 0.01])


def verdict(em, data, k, start, offset=0.0):
    """Return how a fit ends: "fits", or the component that collapsed and the iteration."""
    try:
        em.train(data, k, 1e-6, start=(start[0], np.add(start[1], offset), start[2]))
        return "fits"
    except em.Collapse as error:
        words = str(error).split()
        return words[1], words[words.index("iteration") + 1]


@pytest.mark.parametrize("unit", [1e-9, 1 / 3, 1e3, 1e12])
@pytest.mark.parametrize("data, k", [(TIED, 2), (PLAIN, 3), (BINNED, 5), (GALAXIES, 5)])
def test_the_verdict_on_a_collapse_is_the_same_in_any_unit(em, data, k, unit):
    start = TIED_START if data is TIED else handout_start(data, k)
    assert verdict(em, data * unit, k, scaled(start, unit)) == verdict(em, data, k, start)


def test_ties_collapse_and_without_them_the_same_start_fits(em):
    """Otherwise one verdict for all units, above, could be that nothing ever collapses."""
    assert verdict(em, TIED, 2, TIED_START)[0] == "2"
    assert verdict(em, TIED[:50], 1, handout_start(TIED, 1)) == "fits"


@pytest.mark.parametrize("value", [0.0, 1e-3, 1.7e9, -1e15])
def test_a_collapse_is_seen_at_any_offset(em, value):
    data = np.concatenate([value + np.arange(-20.0, 21.0), [value] * 50])
    start = [0.5, 0.5], [value, value], [100, 0.01]
    with pytest.raises(em.Collapse, match="component 2 collapsed onto the value"):
        em.train(data, 2, 1e-6, start=start)


@pytest.mark.parametrize("offset", [0.0, 1.0, -1e3])
def test_a_component_narrow_but_honest_is_not_refused(em, offset):
    """Its sd is 1e-8 of the range, and a thousand times what the values can resolve."""
    narrow = 1e-8 * groups((200, 0, 1))
    data = np.concatenate([offset + narrow, offset + np.linspace(-0.5, 0.5, 200)])
    start = [0.5, 0.5], [offset, offset], [1e-16, 0.1]
    varis = em.train(data, 2, 1e-6, start=start)[2]
    assert math.sqrt(varis[0]) == pytest.approx(1e-8, rel=0.2)


def stderr_of(run, folder, data, *arguments):
    np.savetxt(folder / "data.txt", data, fmt="%.17g")
    done = run("gmm-em", folder / "data.txt", *arguments)
    assert done.returncode == 0 and done.stdout.startswith("data: ")
    return done.stderr.splitlines()


def test_a_note_says_that_components_coincide(run, tmp_path):
    assert stderr_of(run, tmp_path, 1e-9 * PLAIN, 3, 1) == [
        "gmm-em.py: note: components 1, 2, 3 coincide; if σ = 1 is too wide a start for this "
        "unit, rescale the data, or use --restarts"
    ]


def test_a_note_says_that_a_component_owns_no_point(run, tmp_path):
    data = groups((60, 0, 1), (60, 1e4, 1))
    notes = stderr_of(run, tmp_path, data, 5, 1)
    assert "gmm-em.py: note: component 2 owns no point" in "\n".join(notes)


def test_a_note_says_that_a_component_rests_on_two_points(run, tmp_path):
    data = np.concatenate([groups((60, 0, 1)), [50.0, 51.0]])
    assert stderr_of(run, tmp_path, data, 2, 1) == [
        "gmm-em.py: note: component 2 rests on 2.0 points: a spike, not a cluster"
    ]


@pytest.mark.parametrize("data", [PLAIN, EPOCH, 5 + PLAIN / 10])
def test_a_healthy_fit_gets_no_note(em, data):
    weights, means, varis, _ = em.train(data, 2, 1e-3)
    assert list(em.notes(len(data), weights, means, varis)) == []


def test_a_healthy_fit_leaves_standard_error_empty(run):
    assert run("gmm-em", "data.txt", 4, 1).stderr == ""


def decimals(low, high):
    return st.floats(low, high, allow_nan=False)


anything = st.floats(allow_nan=False, allow_infinity=False)
denormals = decimals(-1e-300, 1e-300)
small = decimals(-10, 10)
scales = st.builds(lambda m, e: m * 10.0**e, small, st.integers(-12, 12))
ties = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1 + EPS, 3.3, 7.0, 1e6, 1e-6, 5e-324])
extremes = st.sampled_from([1e308, -1e308, 1e154, -1e-154, 5e-324]) | anything
values = st.sampled_from([small, small, scales, scales | ties, ties, denormals, extremes])
lists = values.flatmap(lambda value: st.lists(value, min_size=1, max_size=40))
units = st.sampled_from([1.0, 1.0, 1.0, 1e-9, 1e12, 1e-95, 1e95])
offsets = st.sampled_from([0.0, 0.0, 0.0, 1.0, -1e5, 1.7e9, 1e15, -1e300, 1e-300])


@st.composite
def hostile(draw):
    with np.errstate(over="ignore"):
        data = np.array(draw(lists)) * draw(units) + draw(offsets)
    return np.repeat(np.clip(data, -1e308, 1e308), draw(st.integers(1, 3)))


tols = st.sampled_from([1.0, 1e-3, 1e-6, 1e-12, 1e-300, 5e-324])


def assert_valid(data, weights, means, varis, ll):
    assert (weights >= 0).all() and weights.sum() == pytest.approx(1)
    # A mean is a rounded average: it may leave the range by the rounding of the largest value.
    slack = 1e-12 * np.abs(data).max()
    assert (means >= data.min() - slack).all() and (means <= data.max() + slack).all()
    assert np.isfinite(varis).all() and (varis > 0).all() and math.isfinite(ll)


@settings(
    deadline=None, derandomize=True, max_examples=400, suppress_health_check=[HealthCheck.too_slow]
)
@example(data=np.array([-1e308, 1e308]), k=2, tol=1.0)
@example(data=np.array([0, 5e-324, 1e-323]), k=3, tol=5e-324)
@example(data=np.array([1.0, 1 + EPS, 1 + 2 * EPS]), k=2, tol=1e-300)
@given(data=hostile(), k=st.integers(1, 6), tol=tols)
def test_hostile_data_gets_a_valid_fit_or_a_value_error(em, data, k, tol):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            fit = em.train(data, k, tol)
        except ValueError:
            return
    assert_valid(data, *fit)
