"""gmm-em.py against plain loops from the handout and scipy.stats.norm."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm


def textbook(data, k, tol):
    """EM written from the handout with loops, scipy.stats.norm and one ll per iteration."""
    n, low, high = len(data), min(data), max(data)
    weights = [1 / k] * k
    means = [low + i * (high - low) / k for i in range(1, k + 1)]
    varis = [1.0] * k

    def density(x, i):
        return weights[i] * norm.pdf(x, means[i], math.sqrt(varis[i]))

    lls = []
    while len(lls) < 2 or abs(lls[-1] - lls[-2]) >= tol:
        terms = np.array([density(data, i) for i in range(k)])
        gammas = terms / terms.sum(axis=0)
        for i in range(k):
            total = sum(gammas[i])
            weights[i] = total / n
            means[i] = sum(gammas[i] * data) / total
            varis[i] = sum(gammas[i] * (data - means[i]) ** 2) / total
        lls.append(sum(np.log(sum(density(data, i) for i in range(k)))))
    return weights, means, varis, lls[-1], len(lls)


@pytest.fixture(scope="module")
def data(root):
    return np.loadtxt(root / "data.txt")


def sample(seed, n=60):
    return np.random.default_rng(seed).normal([0, 4, 9], [1, 0.5, 2], (n // 3, 3)).ravel()


PARAMETERS = [0.2, 0.3, 0.5], [-1.0, 2.0, 7.5], [0.5, 2.0, 1.5]  # weights, means, varis


def test_initialize_spreads_the_means_as_the_handout_does(em):
    weights, means, varis = em.initialize([3.0, 10.0, 0.0], 4)
    np.testing.assert_array_equal(weights, [0.25] * 4)
    np.testing.assert_allclose(means, [2.5, 5, 7.5, 10], rtol=1e-15)
    np.testing.assert_array_equal(varis, [1] * 4)


def test_expectation_is_bayes_rule(em):
    data = sample(0)
    gammas = em.expectation(data, *PARAMETERS)
    assert gammas.shape == (3, len(data))
    for j, x in enumerate(data):
        terms = [w * norm.pdf(x, m, v**0.5) for w, m, v in zip(*PARAMETERS)]
        np.testing.assert_allclose(gammas[:, j], np.array(terms) / sum(terms), rtol=1e-12)


def test_maximization_takes_weighted_moments_around_the_new_means(em):
    data = sample(1)
    gammas = np.random.default_rng(2).dirichlet([1, 2, 3], len(data)).T
    weights, means, varis = em.maximization(data, gammas)
    for i in range(3):
        total = sum(gammas[i])
        mean = sum(g * x for g, x in zip(gammas[i], data)) / total
        vari = sum(g * (x - mean) ** 2 for g, x in zip(gammas[i], data)) / total
        np.testing.assert_allclose(
            [weights[i], means[i], varis[i]], [total / len(data), mean, vari], rtol=1e-12
        )


def test_maximization_of_an_empty_row_is_zero(em):
    gammas = np.array([[1.0, 1.0], [0.0, 0.0]])
    np.testing.assert_array_equal(em.maximization([2.0, 4.0], gammas), [[1, 0], [3, 0], [1, 0]])


def test_log_likelihood_is_the_sum_of_the_logs(em):
    data = sample(3)
    density = sum(w * norm.pdf(data, m, v**0.5) for w, m, v in zip(*PARAMETERS))
    ll = em.log_likelihood(data, *PARAMETERS)
    assert isinstance(ll, float)
    assert ll == pytest.approx(sum(np.log(density)), rel=1e-13)


def test_functions_take_lists_and_leave_arrays_alone(em):
    data, weights, means, varis = (np.array(a) for a in ([1.0, 2.0, 5.0], *PARAMETERS))
    copies = [a.copy() for a in (data, weights, means, varis)]
    gammas = em.expectation(data, weights, means, varis)
    before = gammas.copy()
    em.maximization(data, gammas)
    em.log_likelihood(data, weights, means, varis)
    em.train(data, 1, 1.0)
    for array, copy in zip((data, weights, means, varis, gammas), (*copies, before)):
        np.testing.assert_array_equal(array, copy)
    np.testing.assert_array_equal(em.expectation([1, 2, 5], *PARAMETERS), gammas)


# At k = 6 and a smaller tol a component collapses; test_hard_data.py looks at that.
CASES = [(k, tol) for k in range(1, 7) for tol in (1, 1e-2, 1e-4, 1e-6) if k < 6 or tol > 1e-3]


@pytest.mark.parametrize("k, tol", CASES)
def test_train_is_the_textbook_loop(em, data, k, tol):
    iterations = []
    fit = em.train(data, k, tol, report=lambda iteration, ll, change: iterations.append(iteration))
    *expected, count = textbook(data, k, tol)
    assert iterations == list(range(1, count + 1))
    for found, wanted in zip(fit, expected):
        np.testing.assert_allclose(found, wanted, rtol=1e-9 if tol == 1 else 1e-6)


def test_the_first_iteration_never_stops_the_loop(em, data):
    iterations = []
    em.train(data, 2, 1e9, report=lambda iteration, ll, change: iterations.append(iteration))
    assert iterations == [1, 2]


def test_train_runs_on_the_functions_a_grader_calls(em, data, monkeypatch):
    called = set()

    def spy_on(name, function):
        def spy(*arguments, **options):
            called.add(name)
            return function(*arguments, **options)

        monkeypatch.setattr(em, name, spy)

    for name in ("initialize", "expectation", "maximization"):
        spy_on(name, getattr(em, name))
    em.train(data, 3, 1)
    em.log_likelihood(data, *PARAMETERS)
    assert called == {"initialize", "expectation", "maximization"}


def test_the_ll_returned_is_that_of_the_parameters_returned(em, data):
    *parameters, ll = em.train(data, 4, 1)
    assert ll == pytest.approx(em.log_likelihood(data, *parameters), rel=1e-13)


def test_main_reads_and_trains(em, root, data):
    for found, wanted in zip(em.main(root / "data.txt", 3, 1), em.train(data, 3, 1)):
        np.testing.assert_array_equal(found, wanted)


def test_a_known_mixture_is_recovered(em, data):
    """Of data.txt, within four standard errors, as theory has them for separate components."""
    (weights, means, varis, _), _, _ = em.best_of(data, 4, 1e-6, 20, 0, lambda *step: None)
    order = np.argsort(means)
    sds, size = np.array([0.6, 0.3, 0.6, 1.2]), 100
    assert (abs(weights[order] - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 400)).all()
    assert (abs(means[order] - [2, 4.5, 9, 14]) < 4 * sds / np.sqrt(size)).all()
    assert (abs(varis[order] / sds**2 - 1) < 4 * np.sqrt(2 / size)).all()


def test_restarts_beat_the_handouts_start_and_never_lose_to_it(em, data):
    def ll(k, restarts):
        return em.best_of(data, k, 1e-6, restarts, 0, lambda *step: None)[0][3]

    assert ll(4, 10) > ll(4, 0) + 50
    for k in (1, 2, 3):
        assert ll(k, 5) >= ll(k, 0)


def test_random_starts_are_what_the_contract_says(em, data, monkeypatch):
    starts = []
    train = em.train

    def spy(data, k, tol, start=None, report=None):
        starts.append(start)
        return train(data, k, tol, start, report)

    monkeypatch.setattr(em, "train", spy)
    em.best_of(data, 5, 1.0, 4, 0, lambda *step: None)
    random = [start for start in starts if start is not None]
    assert len(random) == 4
    for weights, means, varis in random:
        np.testing.assert_array_equal(weights, [0.2] * 5)
        assert np.isin(means, data).all() and (np.diff(means) > 0).all()
        np.testing.assert_allclose(varis, np.var(data), rtol=1e-12)
    assert len({tuple(means) for _, means, _ in random}) == 4


def test_the_means_of_a_random_start_differ_however_tied_the_data(em):
    rng, data = np.random.default_rng(0), np.array([1.0] * 2000 + [2.0, 3.0])
    for _ in range(20):
        np.testing.assert_array_equal(em.random_start(data, 3, 1.0, rng)[1], [1, 2, 3])


datasets = st.lists(st.integers(-3000, 3000), min_size=8, max_size=40, unique=True).map(
    lambda values: np.array(values) / 100
)
examples = settings(max_examples=40, deadline=None, derandomize=True)


@examples
@given(data=datasets, k=st.integers(1, 4))
def test_the_ll_never_falls_and_the_columns_of_gammas_sum_to_one(em, data, k):
    parameters = em.initialize(data, k)
    lls = []
    for _ in range(8):
        gammas = em.expectation(data, *parameters)
        np.testing.assert_allclose(gammas.sum(axis=0), 1, rtol=1e-13)
        weights, means, varis = em.maximization(data, gammas)
        if (weights == 0).any() or (varis < 1e-6).any():
            break
        parameters = weights, means, varis
        lls.append(em.log_likelihood(data, *parameters))
    assert (np.diff(lls) >= -1e-10).all()


@examples
@given(data=datasets)
def test_one_component_has_the_mean_and_the_variance_of_the_data(em, data):
    weights, means, varis, ll = em.train(data, 1, 1e-6)
    assert weights == [1]
    np.testing.assert_allclose(
        [means[0], varis[0]], [data.mean(), data.var()], rtol=1e-9, atol=1e-12
    )
    assert ll == pytest.approx(norm.logpdf(data, data.mean(), data.std()).sum(), rel=1e-12)


def verdict(em, *arguments):
    """Return what train returns, or None where a component collapses."""
    try:
        return em.train(*arguments)
    except em.Collapse:
        return None


@examples
@given(data=datasets, seed=st.integers(0, 99))
def test_the_order_of_the_data_does_not_matter(em, data, seed):
    fit = verdict(em, data, 2, 1)
    shuffled = verdict(em, np.random.default_rng(seed).permutation(data), 2, 1)
    assert (fit is None) == (shuffled is None)
    for found, wanted in zip(shuffled or (), fit or ()):
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-9)


@examples
@given(data=datasets, scale=st.sampled_from([1e-9, 0.01, 7.0, 1e12]), offset=st.integers(-99, 99))
def test_a_change_of_units_changes_the_fit_by_just_that(em, data, scale, offset):
    offset = offset * scale
    start = em.initialize(data, 2)
    moved_start = start[0], scale * start[1] + offset, scale**2 * start[2]
    fit = verdict(em, data, 2, 1, start)
    moved = verdict(em, scale * data + offset, 2, 1, moved_start)
    assert (fit is None) == (moved is None)
    if fit:
        tolerance = {"rtol": 1e-6, "atol": 1e-9}
        np.testing.assert_allclose(moved[0], fit[0], **tolerance)
        np.testing.assert_allclose((moved[1] - offset) / scale, fit[1], **tolerance)
        np.testing.assert_allclose(moved[2] / scale**2, fit[2], **tolerance)
        assert moved[3] + len(data) * math.log(scale) == pytest.approx(fit[3], rel=1e-6, abs=1e-6)


def test_a_start_that_is_no_mixture_is_refused(em, data):
    for start in (
        ([0.5, 0.6], [1, 2], [1, 1]),
        ([0.5, 0.5], [1, 2], [1, 0]),
        ([0.5, 0.5], [1, math.nan], [1, 1]),
        ([1.0], [1], [1]),
    ):
        with pytest.raises(ValueError, match="expected 2 weights"):
            em.train(data, 2, 1, start)


def test_the_printed_fit(em, run, data):
    done = run("gmm-em", "data.txt", 3, 1)
    assert (done.returncode, done.stderr) == (0, "")
    *facts, formula = done.stdout.splitlines()
    facts = dict(line.split(": ", 1) for line in facts)
    weights, means, varis, ll = em.train(data, 3, 1)
    lists = {"weights": weights, "means": means, "varis": varis}
    assert list(facts) == [
        *("data", "n", "k", "tol", "start", "iterations", "weights", "means", "varis", "ll", "bic")
    ]
    for name, values in lists.items():
        assert [float(word) for word in facts[name].split(" ")] == values.tolist()
    assert (facts["data"], facts["n"], facts["k"], facts["tol"]) == ("data.txt", "400", "3", "1.0")
    assert (facts["start"], facts["iterations"]) == ("handout", "15")
    assert float(facts["ll"]) == ll
    assert float(facts["bic"]) == pytest.approx(8 * math.log(400) - 2 * ll, rel=1e-15)
    terms = " + ".join(f"{w:#.4g} N(x | {m:#.4g}, {v:#.4g})" for w, m, v in zip(*lists.values()))
    assert formula == f"p(x) = {terms}"


def test_restarts_name_their_start_and_repeat_themselves(run):
    first, second = (run("gmm-em", "data.txt", 4, 1e-6, "--restarts", 9) for _ in range(2))
    assert first.stdout == second.stdout
    start = first.stdout.splitlines()[4]
    assert start.startswith("start: random ") and start.endswith(" of 9")
    other = run("gmm-em", "data.txt", 4, 1e-6, "--restarts", 9, "--seed", 1)
    assert other.stdout.splitlines()[4:6] != first.stdout.splitlines()[4:6]
