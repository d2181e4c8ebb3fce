"""The README's Python runs as it stands."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.slow
def test_the_pieces_of_python_run_one_after_the_other():
    pieces = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(pieces) == 4
    names: dict[str, object] = {}
    for piece in pieces:
        exec(compile(piece, "README.md", "exec"), names)
    assert names["features"].shape[0] == len(names["images"])
    assert names["model"].monitors["soma0_spikes"].num_spikes > 0
