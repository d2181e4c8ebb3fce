from .directory import RunDirectory


def plot(run: RunDirectory) -> None:
    with run.step("plot"):
        pass
