"""Find another Python: ``python tests/agreement/interpreters.py 3.10`` prints its path, or nothing."""

import shutil
import subprocess
import sys
from pathlib import Path


def find(version):
    """Return the path of a working interpreter of this version ("3.10"), None where there is none."""
    name = f"python{version}"
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}"), reverse=True)
    places = [shutil.which(name), *kept, *(Path(folder) / name for folder in ("/usr/bin", "/usr/local/bin"))]
    return next((str(place) for place in places if place and is_version(place, version)), None)


def is_version(place, version):
    """Tell whether an interpreter runs and is of this version; a stand-in of pyenv's may do neither."""
    code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([str(place), "-c", code], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == version


if __name__ == "__main__":
    print(find(sys.argv[1]) or "")
