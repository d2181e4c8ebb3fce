"""Settings of all tests."""

import os

from hypothesis import settings

# No deadline: a first call may compile something. In CI a failure must come back on the next run.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
