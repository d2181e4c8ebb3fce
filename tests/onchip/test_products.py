"""The Loihi rendering: products equal the rule; text reads back; every wrong form is refused by name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroclapp.errors import InputError
from neuroclapp.network import Prediction
from neuroclapp.onchip import products, series
from neuroclapp.onchip.series import Operand, Term
from neuroclapp.plasticity import Factor, Product, Rule, clapp

VARIANTS = [
    Prediction("symmetric"),
    Prediction("blocked"),
    Prediction("split", "shared"),
    Prediction("split", "separate"),
]
TIMES = ("context", "sample")


def direct(rule, quantities, gates):
    """The rule as its docstring states it: coefficient * gate * post_j * pre_i, summed over products."""
    total = 0.0
    for product in rule.products:
        post = np.prod([quantities["post"][factor] for factor in product.post], axis=0)
        pre = np.prod([quantities["pre"][factor] for factor in product.pre], axis=0) if product.pre else 1.0
        total = total + product.coefficient * gates[product.gate] * (
            np.outer(post, pre) if product.pre else post
        )
    return total


def on_chip(made, quantities, gates, counts):
    """What a chip does: one epoch per learn window, in which traces hold what `made` says they hold."""
    total = 0.0
    for window in TIMES:
        values = {
            fold.trace: fold.value(quantities["post"], gates) if fold.window == window else np.zeros(POST)
            for fold in made.folds
        }
        values |= {"x0": counts[window] > 0, "x1": counts[window]}
        total = total + series.evaluate(made.terms, values)
    return total[:, 0] if made.target == "bias" else total


POST, PRE = 4, 5


@settings(deadline=None)
@given(
    variant=st.sampled_from(VARIANTS),
    target=st.sampled_from(["w_ff", "bias", "w_pred", "w_retro"]),
    rate=st.floats(1e-6, 200.0),
    gates=st.tuples(st.sampled_from([-1.0, 0.0, 1.0]), st.sampled_from([-1.0, 0.0, 1.0])),
    seed=st.integers(0, 2**32 - 1),
)
def test_rendered_products_equal_the_rule(variant, target, rate, gates, seed):
    plasticity = clapp(variant)
    found = [rule for rule in products.rules(plasticity) if rule.target == target]
    if not found:
        assert (variant.feedback, target) == ("blocked", "w_retro")
        return
    rule = found[0]
    draw = np.random.default_rng(seed)
    pre = PRE if target == "w_ff" else POST
    counts = {time: draw.integers(0, 3, size=pre).astype(float) for time in TIMES}
    post = {
        Factor(symbol, time): draw.normal(size=POST) for symbol in ("d", "r", "z", "rho") for time in TIMES
    }
    quantities = {
        "post": post,
        "pre": {Factor(symbol, time): counts[time] for symbol in ("x", "z") for time in TIMES},
    }
    named = {"gamma": gates[0], "gamma_retro": gates[1]}
    made = products.render(rule, rate)
    result = on_chip(made, quantities, named, counts)
    np.testing.assert_allclose(result, rate * direct(rule, quantities, named), rtol=1e-12, atol=1e-12 * rate)
    assert series.parse(made.text) == made.terms


def test_symmetric_feedback_gets_a_mirrored_copy_of_w_pred():
    rules = {rule.target: rule for rule in products.rules(clapp(Prediction("symmetric")))}
    forward, mirrored = rules["w_pred"].products[0], rules["w_retro"].products[0]
    assert (mirrored.post, mirrored.pre) == (forward.pre, forward.post)


def test_the_split_forward_rule_reads_as_documented():
    made = products.render(clapp(Prediction("split")).rule("w_ff"), 0.02)
    assert made.text == "2^-6*x0*x1*y1 + 2^-6*x0*x1*y2"  # 0.02 / 2 = 2^-6 * 0.64
    assert [(fold.trace, fold.window) for fold in made.folds] == [("y1", "sample"), ("y2", "context")]
    assert [fold.scale for fold in made.folds] == [pytest.approx(0.64)] * 2
    assert made.folds[1].post == (Factor("r", "sample"), Factor("rho", "context"))


def test_a_negative_coefficient_becomes_a_negative_product():
    rule = Rule("w_pred", (Product(-0.5, "gamma", (Factor("z", "sample"),), (Factor("z", "context"),)),))
    assert products.render(rule, 1.0).text == "-2^-1*x0*x1*y1"


@settings(deadline=None)
@given(st.floats(2.0**-8, 2.0**8, exclude_min=True))
def test_a_learning_rate_is_a_power_and_a_scale_above_one_half(rate):
    exponent, scale = products.split(rate)
    assert 0.5 < scale <= 1
    assert -7 <= exponent <= 8
    assert scale * 2.0**exponent == rate


@pytest.mark.parametrize(
    ("rate", "exponent", "scale"), [(2.0**-10, -7, 2.0**-3), (2.0**10, 8, 4.0), (0.0, 0, 0.0)]
)
def test_a_learning_rate_outside_the_exponents_is_left_to_the_neuron(rate, exponent, scale):
    assert products.split(rate) == (exponent, scale)


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_a_learning_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match="learning rate"):
        products.split(rate)


@pytest.mark.parametrize(
    "pre",
    [(Factor("d", "sample"),), (Factor("x", "sample"), Factor("x", "context"))],
)
def test_a_product_that_cannot_be_replayed_is_named(pre):
    rule = Rule("w_ff", (Product(1.0, "gamma", (Factor("z", "sample"),), pre),))
    with pytest.raises(InputError, match=r"w_ff: pre = '[dx]\(sample\).*one count, of x or z"):
        products.render(rule, 1.0)


def test_more_products_than_traces_are_refused():
    product = clapp(Prediction("blocked")).rule("w_ff").products[0]
    with pytest.raises(InputError, match="w_ff: products = 4: a neuron has 3 traces"):
        products.render(Rule("w_ff", (product,) * 4), 1.0)


operands = st.builds(Operand, st.sampled_from(series.VARIABLES), st.integers(-128, 127)) | st.builds(
    Operand, st.sampled_from(series.SYNAPTIC), st.integers(-128, 127), st.just(True)
)
terms = st.builds(
    Term,
    st.integers(-8, 7),
    st.integers(-7, 8),
    st.sampled_from(["x0", "y0", "u3"]),
    st.lists(operands, max_size=4).map(tuple),
)


@settings(deadline=None)
@given(st.lists(terms, min_size=1, max_size=4).map(tuple))
def test_text_reads_back_to_the_same_terms(wanted):
    assert series.parse(series.text(wanted)) == wanted


def test_evaluation_by_hand():
    found = series.parse("-3*2^-1*x0*(x1-2)*y1 + 2*y0*w")
    values = {"x0": [1, 0], "x1": [5, 7], "y1": [2, 4], "y0": [0, 1], "w": [[1, 2], [3, 4]]}
    # first product: -1.5 * [1, 0] * [3, 5] * [2, 4]^T; second: 2 * [0, 1]^T * w
    np.testing.assert_array_equal(series.evaluate(found, values), [[-9, 0], [-18 + 6, 8]])


@pytest.mark.parametrize(
    ("rule", "term", "why"),
    [
        ("0.5*x0*y1", "0.5*x0*y1", "coefficient '0.5' is not an integer"),
        ("x0*y1 + 1e-3*x0*y2", "1e", "coefficient '1e' is not an integer"),
        ("x0*y1 - x1*y2", "x1*y2", "exactly one dependency of x0, y0, u0 .. u9; it has none"),
        ("x0*y0*y1", "x0*y0*y1", "it has x0 and y0"),
        ("2^-3*u12*x1", "2^-3*u12*x1", "'u12' is no dependency: k is one digit"),
        ("8*x0*y1", "8*x0*y1", r"mantissa 8 is outside -8 .. 7"),
        ("-9*x0*y1", "9*x0*y1", r"mantissa -9 is outside"),
        ("2^9*x0*y1", "2^9*x0*y1", r"exponent 9 is outside -7 .. 8"),
        ("2^-8*x0*y1", "2^-8*x0*y1", r"exponent -8 is outside"),
        ("3^2*x0*y1", "3^2*x0*y1", "power of 2"),
        ("x0*exp(x1)", "x0*exp(x1)", "function"),
        ("x0*sgn(x1)", "x0*sgn(x1)", "sgn takes a synaptic variable"),
        ("x0*exp(w)", "x0*exp(w)", "function"),
        ("x0*(x0-1)", "x0*(x0-1)", "'x0' cannot carry a constant"),
        ("x0*y4", "x0*y4", "unknown factor 'y4'"),
        ("x0**y1", "x0**y1", "a factor is missing"),
        ("x0*y1 +", "", "is empty"),
        ("x0*y1 + - y0*x1", "", "is empty"),
        ("x0*y1 + x0*-3*y2", "x0*-3*y2", "'-3' has a sign; signs stand before products"),
        ("03*x0*y1", "03*x0*y1", "number '03' .. in '03' has a leading zero"),
        ("x0*(y1-064)", "x0*(y1-064)", "number '06' .. in '(y1-064)' has a leading zero"),
        ("2^" + "9" * 5000 + "*x0", "2^9", "more than nine digits"),
        ("u 2*x1", "u 2*x1", "a space parts a name or a number"),
        ("x0*y1 + 1 2*x0", "1 2*x0", "a space parts a name or a number"),
        ("u٣*x1", "u٣*x1", "unknown factor 'u٣'"),
        ("x0*(y1-32769)", "x0*(y1-32769)", "constant of '(y1-32769)' is outside -32768 .. 32767"),
        ("x0*(y1-2 + x0", "x0*(y1-2+x0", "a bracket is not closed"),
        ("u0*x1 + u2*y1", "u2*y1", "u0 and u2 are mixed; one rule has one k"),
    ],
)
def test_a_wrong_form_is_refused_with_its_product(rule, term, why):
    with pytest.raises(InputError) as caught:
        series.parse(rule, "plasticity.json", "layers.0.dw")
    message = str(caught.value)
    assert message.startswith("plasticity.json: layers.0.dw = ")
    assert f"product {term!r}"[:-1] in message
    assert why.replace("\\", "") in message


def test_mixed_clocks_and_empty_rules_are_refused():
    with pytest.raises(InputError, match="u0 and u2 are mixed"):
        series.parse("u0*x1 + u2*y1")
    with pytest.raises(InputError, match="an empty rule"):
        series.parse(" ")
