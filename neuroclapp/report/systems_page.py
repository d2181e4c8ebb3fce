"""The report of a run of image systems: their table, every figure, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from ..data import SETS
from .datasets import DATA, SPEECH, data_name, paper_of
from .document import Shown, again, cost_and_versions, document, pictures, table
from .references import minus, not_compared, references

Columns = tuple[list[str], list[list[str]]]


def columns(results: dict[str, Any]) -> Columns:
    """Return header and rows of the table of systems: means with the half-width of the 95 % interval."""
    if results["data"] in SPEECH:
        return _columns_of_speech(results)
    systems = results["systems"]
    header = [
        "system",
        "paper [%]",
        "ours, top layer [%]",
        "best layer on validation [%]",
        *_minus(results),
        "updates",
        "CPU [min]",
        "seeds",
    ]
    rows = []
    for one in systems.values():
        validation = one["validation"]["mean"]
        best = validation.index(max(validation))
        rows.append(
            [
                one["title"],
                "-" if one["published"] is None else f"{one['published']:.1f}",
                figure_of(one["test"], -1),
                f"{figure_of(one['test'], best)}, {one['layers'][best]}",
                *_differences(results, one),
                str(one["updates"]),
                f"{one['cpu_minutes']['mean']:.1f}",
                _listed(one["seeds"]),
            ]
        )
    return header, rows


def _minus(results: dict[str, Any]) -> list[str]:
    """Return the header of a column for each system that others are compared with."""
    return [f"minus {results['systems'][name]['title']}, paired [points]" for name in references(results)]


def _differences(results: dict[str, Any], one: dict[str, Any]) -> list[str]:
    """Return what is left of a system's top layer in each of these columns."""
    found = minus(results, one)
    return [figure_of(found[name], -1, "+") if name in found else "-" for name in references(results)]


def _columns_of_speech(results: dict[str, Any]) -> Columns:
    systems = results["systems"]
    header = [
        "system",
        "paper [%]",
        "ours, top layer [%]",
        "spoken frames [%]",
        "below the top [%]",
        "learned minus untrained recurrent units [points]",
        *_minus(results),
        "speakers [%]",
        "updates",
        "CPU [min]",
        "seeds",
    ]
    rows = []
    for one in systems.values():
        besides, deep = one["besides"], len(one["layers"]) > 1
        learned = besides.get("learned minus untrained")
        rows.append(
            [
                one["title"],
                "-" if one["published"] is None else f"{one['published']:.1f}",
                figure_of(one["test"], -1),
                figure_of(besides["spoken"], -1),
                _below(one) if deep else "-",
                figure_of(learned, 0, "+") if learned else "-",
                *_differences(results, one),
                figure_of(besides["speaker"], -1) if "speaker" in besides else "-",
                str(one["updates"]),
                f"{one['cpu_minutes']['mean']:.1f}",
                _listed(one["seeds"]),
            ]
        )
    return header, rows


def page(results: dict[str, Any], shown: Sequence[tuple[Shown, bytes]], experiment: str) -> str:
    """Return the whole report as HTML.

    ``shown`` pairs each figure with its PNG; ``experiment`` is the run's as TOML text.
    """
    systems = results["systems"]
    parts = [f"<h1>{escape(results['experiment'])}</h1>"]
    if systems:
        parts += [
            f"<p>{escape(' '.join(_facts(results)))}</p>",
            "<h2>Systems</h2>" + table(*columns(results)),
        ]
        parts.append(f"<p>{escape(' '.join([_meaning(results), *not_compared(results)]))}</p>")
    parts += pictures(shown)
    parts += cost_and_versions(results)
    waited = max((one["waited_share"] for one in systems.values()), default=0.0)
    if systems:
        parts.append(f"<p>Training waited for data at most {100 * waited:.1f} % of its time.</p>")
    files = (
        "<code>results.json</code> holds all values of this page, <code>figures/</code> its figures, and "
        "<code>scores/</code> each system with each seed."
    )
    parts.append(again(experiment, files))
    return document(results["experiment"], parts)


def figure_of(values: dict[str, Any], layer: int, sign: str = "") -> str:
    """Return a layer's mean with its 95 % interval; one seed has none."""
    mean = f"{values['mean'][layer]:{sign}.1f}"
    return f"{mean} ± {values['interval'][layer]:.1f}" if len(values["per_seed"]) > 1 else mean


def _below(one: dict[str, Any]) -> str:
    """Return the accuracy of the layer below the top, with the paper's where there is one."""
    name = one["layers"][-2]
    paper = one.get("published_layers", {}).get(name)
    return f"{figure_of(one['test'], -2)}, {name}" + ("" if paper is None else f" (paper: {paper:.1f})")


def _meaning(results: dict[str, Any]) -> str:
    """Say what the table's columns hold."""
    cost = "CPU time is that of training one seed, also where a run beside this one has trained it."
    if results["data"] not in SPEECH:
        return (
            "All accuracies are those of a linear readout of frozen features on test images. The best "
            f"layer is the one with the highest accuracy on validation images. {cost}"
        )
    notes = results["notes"]
    return (
        "All accuracies are those of a linear readout of frozen features of test utterances: phones by frame "
        "of 10 ms, of all frames and, by a readout of their own, of those that are not silent; speakers by "
        f"utterance. The most frequent phone would be right in {notes['majority']:.1f} % of all frames and "
        f"{notes['spoken_majority']:.1f} % of the spoken ones. Untrained recurrent units stand over the same "
        f"layers below. {cost}"
    )


def comparable(results: dict[str, Any]) -> str:
    """Say whether the paper's values can be compared with these."""
    paper = paper_of(results)
    if results["data"] == paper:
        return "The paper's values are for the same data set at its own length of training."
    what = "speech" if results["data"] in SPEECH else "images"
    return (
        f"The paper's values are for {DATA[paper]}; {data_name(results)} is a stand-in with other {what}, "
        "so its accuracies are not comparable with the paper's, and only how systems differ can be."
    )


def _facts(results: dict[str, Any]) -> list[str]:
    systems = results["systems"].values()
    seeds = sorted({seed for one in systems for seed in one["seeds"]})
    everywhere = all(one["seeds"] == seeds for one in systems)
    about = f" ({SETS[results['data']]})" if results["data"] in SETS else ""
    facts = [
        f"Data: {data_name(results)}{about}.",
        f"Scale: {results['scale']}.",
        f"Seeds: {_listed(seeds)}{'' if everywhere else ' (not all for every system)'}.",
    ]
    if any(len(one["seeds"]) > 1 for one in systems):
        facts.append("Values are means over seeds with the 95 % interval of the mean.")
    if any(one["published"] is not None for one in systems):
        facts.append(comparable(results))
    return facts + _about_speech(results.get("notes", {}))


def _about_speech(notes: dict[str, Any]) -> list[str]:
    """Say of speech who is heard in the test, and what was skipped; nothing of a run that did not note it."""
    facts = []
    if "test_speakers" in notes:
        every, shared = notes["test_speakers"], notes["shared_speakers"]
        what = "a test of new utterances, not of new speakers" if shared else "a test of new speakers"
        facts.append(
            f"{shared} of {every} speakers in the test are in training or validation as well: {what}."
        )
    for key, what in (("skipped", "were skipped"), ("too_short", "are too short to be learned from")):
        named = notes.get(key, [])
        if named:
            name, why = named[0]
            facts.append(f"{len(named)} utterances {what} (results.json); the first: {name}: {why}.")
    return facts


def _listed(seeds: Sequence[int]) -> str:
    """Return seeds as text, a run of more than three of them by its ends."""
    if len(seeds) > 3 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ", ".join(map(str, seeds))
