"""What tests of runs look at alike."""

import json

from neuroclapp.cli import main


def results_of(folder):
    return json.loads((folder / "results.json").read_text())


def assert_refused(arguments, said, folder, capsys):
    """A wrong value gets one line and exit code 2, and nothing is written into ``folder``."""
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error
    assert not [p for p in folder.rglob("*") if p.name != "experiment.toml" and p.is_file()]
