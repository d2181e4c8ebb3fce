"""What an image system learns from: nothing, labels, or the contrast between places of images.

A system is a row of the paper's tables: an encoder cut into modules, and what each module's loss is. All are
values, so that a table is a list of systems and every variant can be combined with every other.
"""

from __future__ import annotations

from dataclasses import field, replace
from math import prod
from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from .catalog import DESCRIPTION
from .network import Layer, Module, Network, Prediction, Shape


@dataclass(frozen=True, config=DESCRIPTION)
class Contrast:
    """How predictions are compared with what comes: pairs of places, negatives, and the loss.

    ``loss`` of a context's scores u, positive and negative:

    - ``"hinge"``: ``max(0, 1 - u+) + mean max(0, 1 + u-)``, CLAPP's (Eq. 2)
    - ``"cross_entropy"``: ``softplus(-u+) + mean softplus(u-)``, the binary comparison
    - ``"info_nce"``: ``-log(exp u+ / (exp u+ + sum exp u-))``, CPC's and Greedy InfoMax's (Eq. 1)

    ``task``: ``"rows"`` cuts an image into overlapping patches, and a patch predicts the ``steps`` patches of
    its column that lie below it, from ``skip + 1`` rows on, each with a matrix of its own (the paper's);
    ``"around"`` predicts upward, to the left and to the right as well, with further matrices; ``"views"``
    sees two augmented views of a whole image that predict each other (CLAPP++). With ``blocks`` above 1 the
    loss sees ``blocks * blocks`` averages of a layer's map instead of one, so that every place of one view
    predicts every place of the other: CLAPP++'s two-dimensional spatial prediction.

    ``source`` of negatives: any place that the same matrix predicts, in any image and the positive among
    them (``"anywhere"``), any place of the same image, or step of the same sound (``"same_image"``), the same
    place in another image drawn for each place (``"same_place"``), or in one other image for all places
    (``"one_image"``).
    ``pairs``: positives and negatives together (``"both"``), or one of them drawn for each image
    (``"either"``). ``context``: a layer's own features, those of the top layer (``"top"``, CLAPP++'s direct
    feedback; they are blocked), or both losses summed.
    """

    loss: Literal["hinge", "cross_entropy", "info_nce"] = "hinge"
    task: Literal["rows", "around", "views"] = "rows"
    steps: PositiveInt = 5
    skip: NonNegativeInt = 1
    negatives: PositiveInt = 1
    source: Literal["anywhere", "same_image", "same_place", "one_image"] = "anywhere"
    pairs: Literal["both", "either"] = "both"
    context: Literal["own", "top", "both"] = "own"
    blocks: tuple[PositiveInt, ...] = ()
    prediction: Prediction = field(default_factory=Prediction)

    def __post_init__(self) -> None:
        if self.loss != "hinge" and self.prediction.feedback == "split" and self.prediction.gate == "shared":
            raise ValueError(
                f"a shared gate is the hinge's; loss = {self.loss!r} with feedback = 'split' needs "
                "gate = 'separate'"
            )
        if self.source in ("same_place", "one_image") and self.negatives > 1:
            raise ValueError(f"source = {self.source!r} has one negative, not {self.negatives}")
        if self.loss == "info_nce" and self.pairs == "either":
            raise ValueError(
                "loss = 'info_nce' compares a positive with its negatives; pairs = 'either' parts them"
            )
        if self.source == "same_image" and self.task == "views":
            raise ValueError("source = 'same_image': of two views the only sample is the positive")
        if max(self.blocks, default=1) > 1 and self.task != "views":
            raise ValueError(f"blocks = {list(self.blocks)} need task = 'views', not {self.task!r}")

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """Row and column distances from context to sample, one for each prediction matrix."""
        if self.task == "views":
            return ((0, 0),)
        far = [self.skip + step for step in range(1, self.steps + 1)]
        down = tuple((distance, 0) for distance in far)
        if self.task == "rows":
            return down
        return (
            *down,
            *((-distance, 0) for distance in far),
            *((0, distance) for distance in far),
            *((0, -distance) for distance in far),
        )


@dataclass(frozen=True, config=DESCRIPTION)
class System:
    """One system of a table: a title, how the encoder is cut, and what its modules learn from.

    ``learns``: ``"nothing"`` (random initialisation), ``"labels"`` (a linear head and cross-entropy on each
    module: supervised with one module, greedy supervised with several), or ``"contrast"``. ``modules`` counts
    the layers of each module; left out, every layer is one.
    """

    title: str
    learns: Literal["nothing", "labels", "contrast"] = "contrast"
    modules: tuple[PositiveInt, ...] = ()
    contrast: Contrast = field(default_factory=Contrast)

    def cut(self, network: Network) -> Network:
        """Return the network with this system's modules; raise ValueError if they do not fit."""
        return replace(network, modules=self.modules)

    def blocks(self, module: int) -> int:
        """Return the side of the grid of averages that the loss of a module sees."""
        return self.contrast.blocks[module] if self.contrast.blocks else 1


#: Steps of e-prop to a chunk: so many need no more memory than the traces of 256 inputs and units.
CHUNK = 128


@dataclass(frozen=True, config=DESCRIPTION)
class InTime:
    """What a system that hears sound has besides: a time step predicts those that follow it.

    ``window``: how many successive steps of a layer are compared, from a random place in each excerpt
    (0: all). Layers near the sound have steps by the thousand; a window is an unbiased sample of them.

    A layer of gated recurrent units is the context c, the layer below it the sample z, ``u = z^T W_pred c``.
    ``recurrent``: it learns by ``"bptt"``, by ``"eprop"`` (Eqs. 15-18), or ``"nothing"``. ``below``: the
    layer that it hears may learn to be predicted (``"plastic"``, appendix B.2), through z alone and no deeper
    than its module, or learns from its own loss only (``"blocked"``). ``recurrent_source``: where their
    negatives come from, if not from where the contrast's do. ``recurrent_rate`` multiplies their learning
    rate. ``chunk``: the steps after which e-prop brings its traces up to date, forward in time; 1 is every
    step, as on a chip. The sum is the same: within a chunk it is taken in another order, so that an excerpt
    no longer than a chunk needs no traces at all.
    """

    window: NonNegativeInt = 128
    recurrent: Literal["bptt", "eprop", "nothing"] = "bptt"
    below: Literal["plastic", "blocked"] = "plastic"
    recurrent_source: Literal["anywhere", "same_image"] | None = None
    recurrent_rate: PositiveFloat = 1.0
    chunk: PositiveInt = CHUNK


def head(module: Module) -> Layer:
    """Return the layer whose activity a module's loss sees; where it is recurrent, as the context."""
    return module.layers[-1]


def parameters(network: Network, system: System, classes: int) -> dict[str, Shape]:
    """Return name and shape of every array of a system, in a fixed order.

    ``LAYER.w_ff`` and ``.bias``, or a block's, for each layer (see `Layer.arrays`); by the top layer of each
    module ``.w_pred`` (matrices, features, context) and ``.w_retro`` (matrices, context, features),
    ``.w_top`` for a second context, or ``.w_head`` (classes, features) and ``.b_head``.
    """
    network = system.cut(network)
    result: dict[str, Shape] = {}
    for layer, shape in zip(network.scaled_layers, network.shapes, strict=False):
        result.update({f"{layer.name}.{name}": array for name, array in layer.arrays(shape).items()})
    modules = network.split()
    if system.contrast.blocks and len(system.contrast.blocks) != len(modules):
        raise ValueError(
            f"contrast.blocks = {list(system.contrast.blocks)} must have one entry for each of the "
            f"{len(modules)} modules"
        )
    sizes = [head(module).units * system.blocks(n) ** 2 for n, module in enumerate(modules)]
    below = {
        layer.name: shape[0] for layer, shape in zip(network.scaled_layers, network.shapes, strict=False)
    }
    for module, own in zip(modules, sizes, strict=True):
        name = head(module).name
        # Gated recurrent units predict the layer that they hear.
        predicts = system.learns == "contrast" and head(module).kind == "gru"
        size = below[name] if predicts else own
        if system.learns == "labels":
            result |= {f"{name}.w_head": (classes, size), f"{name}.b_head": (classes,)}
        elif system.learns == "contrast":
            contrast, matrices = system.contrast, len(system.contrast.offsets)
            top = module is modules[-1]
            context = sizes[-1] if contrast.context == "top" else own
            result[f"{name}.w_pred"] = (matrices, size, context)
            if contrast.context == "both" and not top:
                result[f"{name}.w_top"] = (matrices, size, sizes[-1])
            if contrast.prediction.feedback == "split" and (contrast.context != "top" or top):
                result[f"{name}.w_retro"] = (matrices, context, size)
    return result


def kernel_of(name: str) -> str | None:
    """Return the name of the kernel that a bias is added to, None for what is no bias.

    ``bias`` belongs to ``w_ff``, and each ``b...`` to the ``w...`` of the same ending.
    """
    layer, target = name.rsplit(".", 1)
    if target == "bias":
        return f"{layer}.w_ff"
    return f"{layer}.w{target[1:]}" if target.startswith("b") else None


def fan_in(name: str, shape: Shape) -> int:
    """Return the number of inputs that are summed through an array (1 for a bias).

    Of gated recurrent units it is the number of units, by which torch draws all their arrays.
    """
    target = name.rsplit(".", 1)[1]
    if target in ("w_ih", "w_hh"):
        return shape[0] // 3
    return shape[-1] if target in ("w_pred", "w_retro", "w_top", "w_head") else max(1, prod(shape[1:]))
