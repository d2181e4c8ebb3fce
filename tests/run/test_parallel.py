"""Jobs side by side: all that can be done is done, what failed is named, nothing is left running."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import torch
from run import small_jobs
from run.small_jobs import die, die_once, fail, fail_once, wait_long, write
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info, threadpool_limits

from neuroclapp.errors import InputError, RunError
from neuroclapp.files import write_json
from neuroclapp.run.cluster import cluster
from neuroclapp.run.directory import RunDirectory
from neuroclapp.run.parallel import JobsFailedError, Processes, side_by_side


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """Two local processes under Dask, and the folder that they share."""
    pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("shared")
    with cluster(folder, workers=2) as found:
        yield found


@pytest.fixture(params=["processes", "cluster"])
def place(request):
    """Where jobs run: each place does the same."""
    return Processes(2) if request.param == "processes" else request.getfixturevalue("workers")


def test_every_job_is_done_in_another_process(place, tmp_path):
    jobs = {f"seed {seed}": partial(write, tmp_path / f"{seed}.json") for seed in range(5)}
    side_by_side(jobs, "work", 5, place)
    found = [json.loads((tmp_path / f"{seed}.json").read_text()) for seed in range(5)]
    assert os.getpid() not in {each["pid"] for each in found}
    assert {each["cwd"] for each in found} == {os.getcwd()}


def test_a_job_that_fails_is_named_and_the_others_go_on(place, tmp_path, capsys):
    jobs = {
        "tau 10 ms, seed 0": partial(write, tmp_path / "first.json"),
        "tau 10 ms, seed 1": partial(fail, InputError("x.toml", "batch", 9, "at most 8")),
        "tau 20 ms, seed 0": partial(fail, ValueError("a plain one")),
        "tau 20 ms, seed 1": partial(write, tmp_path / "last.json"),
    }
    with pytest.raises(JobsFailedError) as raised:
        side_by_side(jobs, "work", 4, place)
    assert raised.value.failures == {
        "tau 10 ms, seed 1": "x.toml: batch = 9: at most 8",
        "tau 20 ms, seed 0": "ValueError: a plain one",
    }
    assert "work: 2 of 4 failed, the others are done" in str(raised.value)
    assert (tmp_path / "first.json").is_file()
    assert (tmp_path / "last.json").is_file()
    said = capsys.readouterr().err
    assert "tau 20 ms, seed 0 failed: ValueError: a plain one\nTraceback" in said
    assert said.count("Traceback") == 1  # a wrong value is the user's: its line says all


def test_progress_counts_the_work_of_all(place, tmp_path):
    counts = []
    jobs = {str(n): partial(write, tmp_path / f"{n}.json") for n in range(6)}
    place.run(jobs, counts.append, pytest.fail)
    assert counts == sorted(counts)
    assert counts[-1] == 6


def test_a_process_that_is_killed_is_a_failure_with_a_name(tmp_path):
    jobs = {"seed 0": die, "seed 1": partial(write, tmp_path / "1.json")}
    with pytest.raises(RunError, match=r"seed 0: its process was killed by SIGKILL \(out of memory\?\)"):
        side_by_side(jobs, "work", 2, Processes(2))
    assert (tmp_path / "1.json").is_file()


def test_a_worker_that_is_killed_loses_no_job(workers, tmp_path):
    jobs = {str(n): partial(write, tmp_path / f"{n}.json") for n in range(3)}
    side_by_side({"killed": partial(die_once, tmp_path / "killed"), **jobs}, "work", 4, workers)
    assert len(list(tmp_path.iterdir())) == 4
    assert json.loads((tmp_path / "killed").read_text())["pid"] != os.getpid()


@pytest.mark.slow
def test_a_job_that_kills_every_worker_is_a_failure_with_a_name(workers, tmp_path):
    jobs = {"seed 0": die, "seed 1": partial(write, tmp_path / "1.json")}
    with pytest.raises(JobsFailedError, match="seed 0: KilledWorker") as raised:
        side_by_side(jobs, "work", 2, workers)
    assert list(raised.value.failures) == ["seed 0"]
    assert (tmp_path / "1.json").is_file()


def test_what_failed_is_done_the_next_time(place, tmp_path):
    job = {"seed 0": partial(fail_once, tmp_path / "tried")}
    with pytest.raises(RunError, match="seed 0: ValueError: the first time"):
        side_by_side(job, "work", 1, place)
    side_by_side(job, "work", 1, place)


def interrupt(folder, parent, report):
    while not (folder / "began").exists():
        time.sleep(0.01)
    os.kill(parent, signal.SIGINT)


def test_ctrl_c_ends_work_side_by_side(tmp_path):
    jobs = [
        partial(wait_long, tmp_path),
        partial(interrupt, tmp_path, os.getpid()),
        partial(wait_long, tmp_path),
    ]
    # Started in the background a shell has it ignored, and Brian2, once imported, has a handler of its own.
    children = set(multiprocessing.active_children())
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            side_by_side(jobs, "work", 3, Processes(2))
    finally:
        signal.signal(signal.SIGINT, before)
    assert set(multiprocessing.active_children()) <= children
    assert not (tmp_path / "ended").exists()


def test_jobs_of_a_cluster_end_when_the_run_does(workers, tmp_path):
    """After Ctrl-C the sign is gone: a job that runs ends at its next report, and others do not begin."""

    def stop(count):
        if (tmp_path / "began").exists():
            raise KeyboardInterrupt

    jobs = {str(n): partial(wait_long, tmp_path) for n in range(4)}
    with pytest.raises(KeyboardInterrupt):
        workers.run(jobs, stop, pytest.fail)
    began = time.monotonic()
    side_by_side({"next": partial(write, tmp_path / "next.json")}, "work", 1, workers)
    assert time.monotonic() - began < 10  # workers are free again; a job would have gone on for 20 s
    assert not (tmp_path / "ended").exists()
    assert not list(workers.folder.glob(".running-*"))


PARENT = """
import sys
from functools import partial
from pathlib import Path
from run.small_jobs import wait_long
from neuroclapp.run.parallel import side_by_side
side_by_side([partial(wait_long, Path(sys.argv[1]))], "work", 1)
"""


def test_a_process_whose_parent_was_killed_ends(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], env=environment)
    began, sizes = tmp_path / "began", [0]
    while not began.exists() or not began.stat().st_size:
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 15  # it would go on for 20 s
    while began.stat().st_size > sizes[-1]:
        sizes.append(began.stat().st_size)
        assert time.monotonic() < deadline
        time.sleep(1)
    assert not (tmp_path / "ended").exists()


def note_threads(path, report):
    features = np.random.default_rng(0).standard_normal((40, 4))
    LogisticRegression().fit(features, np.arange(40) % 2)
    pools = {one["filepath"]: one["num_threads"] for one in threadpool_info()}
    write_json(path, {"torch": torch.get_num_threads(), **pools})


def test_work_side_by_side_computes_in_one_thread_each(tmp_path):
    path = tmp_path / "threads.json"
    threads = torch.get_num_threads()
    with threadpool_limits(2):
        torch.set_num_threads(2)
        try:
            side_by_side([partial(note_threads, path)], "work", 1)
        finally:
            torch.set_num_threads(threads)
    found = json.loads(path.read_text())
    assert len(found) > 1
    assert set(found.values()) == {1}


def test_cpu_time_of_a_cluster_is_counted(workers, tmp_path):
    before = workers.elsewhere
    side_by_side({"seed 0": partial(small_jobs.compute, 0.3)}, "work", 1, workers)
    assert 0.25 < workers.elsewhere - before < 3


def test_a_worker_that_cannot_see_the_folder_is_one_clear_error(workers, tmp_path, monkeypatch):
    monkeypatch.setattr("neuroclapp.run.cluster._sees", small_jobs.sees_nothing)
    with pytest.raises(RunError, match=r"worker tcp://.* cannot see .*must lie on a file system that all"):
        side_by_side({"seed 0": partial(write, tmp_path / "0.json")}, "work", 1, workers)
    monkeypatch.setattr("neuroclapp.run.cluster._sees", small_jobs.cannot)
    with pytest.raises(RunError, match=r"worker tcp://.* cannot run jobs \(no neuroclapp here\)"):
        side_by_side({"seed 0": partial(write, tmp_path / "0.json")}, "work", 1, workers)
    assert not list(tmp_path.iterdir())


def test_workers_of_several_threads_are_refused(tmp_path):
    distributed = pytest.importorskip("distributed")
    local = distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
    )
    with (
        local,
        cluster(tmp_path, local.scheduler_address) as found,
        pytest.raises(RunError, match="has 2 threads; each needs one"),
    ):
        side_by_side({"seed 0": partial(write, tmp_path / "0.json")}, "work", 1, found)


def test_a_scheduler_that_does_not_answer_is_named(tmp_path):
    pytest.importorskip("distributed")
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        with (
            pytest.raises(RunError, match=f"--scheduler {address}: no scheduler with a worker answers"),
            cluster(tmp_path, address, patience=0.5),
        ):
            raise AssertionError


def test_a_run_is_sent_as_its_folder(tmp_path, monkeypatch):
    import pickle

    monkeypatch.chdir(tmp_path)
    run = RunDirectory(tmp_path.relative_to(tmp_path) / "here")
    run.data = np.zeros(10**6)
    sent = pickle.dumps(run)
    assert len(sent) < 1000
    assert pickle.loads(sent).folder == tmp_path / "here"
