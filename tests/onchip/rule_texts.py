"""Random texts of learning rules, right ones and spoilt ones, and what they mean as arithmetic.

Imported by the tests that hold `neuroclapp.onchip.series` to Lava's parser.
"""

import re
import warnings

import numpy as np

DEPENDENCIES = ("x0", "y0", *(f"u{k}" for k in range(10)))
VARIABLES = ("x1", "x2", "y1", "y2", "y3", "w", "d", "t")
PRE, POST = 4, 3


def values(draw):
    """Return traces and synaptic variables by name: integers, so small that all sums are exact in floats."""
    made = {name: draw.integers(0, 128, PRE).astype(float) for name in ("x1", "x2")}
    made |= {name: draw.integers(-127, 128, POST).astype(float) for name in ("y1", "y2", "y3")}
    made |= {name: draw.integers(-127, 128, (POST, PRE)).astype(float) for name in "wdt"}
    made |= {"x0": draw.integers(0, 2, PRE).astype(float), "y0": draw.integers(0, 2, POST).astype(float)}
    return made


def clocks(time_step):
    """u0 .. u9 in a step: uk acts in every 2^k-th."""
    return {f"u{k}": float(time_step % 2**k == 0) for k in range(10)}


def meaning(text, named):
    """What a text means to a reader who knows arithmetic, or None where it means nothing: Python's own."""
    placed = {
        name: value[:, None] if name[0] == "y" and np.ndim(value) == 1 else value
        for name, value in named.items()
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "2(x1-3)" warns of a missing comma
            code = text.replace(" ", "").replace("^", "**")
            code = re.sub(r"(?<![\w.])(\d+)(?![\w.])", r"\1.", code)  # 9^9^9 in integers would never end
            return np.asarray(eval(code, {"__builtins__": {}, "sgn": np.sign, **placed}), dtype=float)
    except Exception:
        return None


def spaced(draw, text):
    """Put spaces where they part no name and no number."""
    result = []
    for one in text:
        before, after = (int(draw.random() < 0.2) if one in "+-*" else 0 for _ in range(2))
        result.append(" " * before + one + " " * after)
    return "".join(result)


def operand(draw):
    name = VARIABLES[draw.integers(len(VARIABLES))]
    constant = f"{draw.integers(-128, 128):+d}" if draw.random() < 0.5 else ""
    if name in "wdt" and draw.random() < 0.3:
        return f"sgn({name}{constant})"
    return f"({name}{constant})" if constant else name


def product(draw, clock):
    """One product without its sign: mantissa and exponent in one or in several parts, in any place."""
    parts = [draw.choice(["x0", "y0", clock]), *(operand(draw) for _ in range(draw.integers(0, 5)))]
    kind = draw.integers(5)
    mantissa, exponent = int(draw.integers(0, 8)), int(draw.integers(-7, 9))
    power = f"2^{exponent:+d}" if draw.random() < 0.3 and exponent else f"2^{exponent}"
    if kind == 1:
        parts.insert(0, f"{mantissa}*{power}")
    elif kind == 2:
        parts.insert(draw.integers(len(parts) + 1), str(mantissa))
        parts.insert(draw.integers(len(parts) + 1), power)
    elif kind == 3:
        first = int(draw.integers(-7, 9))
        parts += ["3", f"2^{first}", f"2^{exponent - first}", "2"]
    elif kind == 4:
        parts.insert(0, power)
    order = draw.permutation(len(parts)) if kind != 1 and draw.random() < 0.3 else range(len(parts))
    return "*".join(parts[place] for place in order)


def products(draw):
    """A rule as signed products, with one k throughout; a leading one may be -8."""
    clock = f"u{draw.integers(10)}"
    made = [(str(draw.choice(["+", "-"])), product(draw, clock)) for _ in range(draw.integers(1, 5))]
    if draw.random() < 0.1:
        made[0] = ("-", f"8*2^{draw.integers(-7, 9)}*{draw.choice(['x0', 'y0', clock])}*{operand(draw)}")
    return made


def joined(made):
    text = "".join(sign + one for sign, one in made)
    return text.removeprefix("+")


def rule(draw):
    """A text of the grammar."""
    return spaced(draw, joined(products(draw)))


def spoilt(draw):
    """A rule with one product that is wrong in a known way: (text, that product without spaces)."""
    made = products(draw)
    place = int(draw.integers(len(made)))
    sign, one = made[place]
    clock = next((part for _, p in made for part in p.split("*") if part in DEPENDENCIES[2:]), "u3")
    other = DEPENDENCIES[2:][(int(clock[1]) + int(draw.integers(1, 10))) % 10]
    kept = "*".join(part for part in one.split("*") if part not in DEPENDENCIES)
    ways = [
        ("two digits", f"u{draw.integers(10, 100)}{'*' * bool(kept)}{kept}"),
        ("no dependency", kept or "x1*y1"),
        ("two dependencies", f"{one}*{draw.choice(['x0', 'y0', clock])}"),
        ("decimal", f"{draw.integers(0, 8)}.{draw.integers(0, 10)}*{one}"),
        ("decimal", f".{draw.integers(1, 10)}*{one}"),
        ("scientific", f"{draw.integers(1, 8)}e{draw.integers(1, 4)}*{one}"),
        ("function", f"{one}*exp({draw.choice(['x1', 'y1', 'w'])})"),
        ("sign of a trace", f"{one}*sgn({draw.choice(VARIABLES[:5])})"),
        ("sign of a dependency", f"{one}*sgn({draw.choice(['x0', 'y0'])})"),
        ("shifted dependency", f"{one}*({draw.choice(['x0', 'y0'])}-1)"),
        ("mantissa", f"{draw.integers(8, 200) | 1}*x0*{draw.choice(VARIABLES)}"),
        ("exponent", f"2^{draw.choice([-20, -9, -8, 9, 10, 31])}*x0*{draw.choice(VARIABLES)}"),
        ("base", f"{draw.choice([3, 4, 10])}^2*{one}"),
        ("unknown", f"{one}*{draw.choice(['y4', 'x3', 'z1', 'v', 'W', 'X1', 'x', 'y'])}"),
        ("touching", f"{one}{draw.choice(VARIABLES)}"),
        ("leading zero", f"0{draw.integers(1, 8)}*x0*{draw.choice(VARIABLES)}"),
        ("leading zero", f"2^-0{draw.integers(1, 8)}*x0*{draw.choice(VARIABLES)}"),
        ("leading zero", f"x0*(x1-0{draw.integers(1, 65)})"),
        ("sign inside", f"x0*-{draw.integers(1, 8)}*{draw.choice(VARIABLES)}"),
        ("sign inside", f"x0*{draw.choice(VARIABLES)}*+{draw.integers(1, 8)}"),
        ("foreign digit", f"٣*x0*{draw.choice(VARIABLES)}"),
        ("foreign digit", f"u٣*{draw.choice(VARIABLES)}"),
        ("constant", f"x0*(x1-{draw.choice([40000, 2**31, 10**20])})"),
        ("bracket", f"x0*({draw.choice(VARIABLES)}"),
        ("bracket", f"x0*(({draw.choice(VARIABLES)}-1))"),
        ("two in a bracket", f"x0*({draw.choice(VARIABLES)}*3)"),
        ("two in a bracket", f"x0*({draw.choice(VARIABLES)}+y1)"),
        ("nothing", f"*{one}"),
        ("nothing", f"{one}*"),
        ("nothing", one.replace("*", "**", 1) if "*" in one else f"{one}**x1"),
        ("quotient", f"{one}/2"),
        ("tab", f"x0*\t{draw.choice(VARIABLES)}"),
        ("parted", f"x0*x 1*{draw.choice(VARIABLES)}"),
        ("parted", f"u {clock[1]}*{draw.choice(VARIABLES)}"),
    ]
    if any(clock in p.split("*") for _, p in made[:place]):
        ways.append(("mixed k", f"{other}*{draw.choice(VARIABLES)}"))
    way, wrong = ways[draw.integers(len(ways))]
    text = joined([*made[:place], (sign, wrong), *made[place + 1 :]])
    return way, text, wrong


def mutated(draw, alphabet="0123456789xyuwdt+-*^(). esgnp"):
    """A rule in which one to three letters are lost, changed, doubled, swapped or put in."""
    letters = list(rule(draw))
    for _ in range(draw.integers(1, 3)):
        place = int(draw.integers(len(letters))) if letters else 0
        way, letter = draw.integers(5), str(draw.choice(list(alphabet)))
        if way == 0 or not letters:
            letters.insert(place, letter)
        elif way == 1:
            del letters[place]
        elif way == 2:
            letters[place] = letter
        elif way == 3:
            letters.insert(place, letters[place])
        elif place + 1 < len(letters):
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)
