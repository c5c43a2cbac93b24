"""
Make .venv once: find a fitting Python, get uv with pip, install requirements.lock, leave a stamp.

Runs before anything is installed and on whatever `python3` is, so: standard library only, and syntax that an old
Python still reads, because it is the one that has to say which Python is needed. Exit code 2 and one sentence when
the machine lacks something.
"""

import errno
import glob
import hashlib
import os
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 14)
UV = "0.13.9"
DISK_MB = 2000
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RUNTIME = os.path.join(ROOT, ".runtime")
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "psflow-stamp")
PROBE = "import sys; print('%d.%d ' % sys.version_info[:2] + getattr(sys, '_base_executable', sys.executable))"
FULL = "the disk of %s has %d MB free and psflow needs %d MB: make room and run make again, or clone it elsewhere"


class Lacking(Exception):
    """What the machine lacks, and what to do about it, in one sentence."""


def main():
    python = find_python()
    if sys.version_info[:2] < OLDEST:
        os.execv(python, [python, os.path.abspath(__file__)])
    stamp = wanted_stamp(python)
    if read(STAMP) == stamp:
        return
    make_folder()
    with only_one():
        if read(STAMP) != stamp:
            install(python, fresh=read(STAMP).split("\n")[0] != stamp.split("\n")[0])
            with open(STAMP, "w") as file:
                file.write(stamp)


def find_python():
    """Return the path of a fitting interpreter: the one that runs this, else one on PATH."""
    tried = []
    for name in [sys.executable] + ["python3.%d" % minor for minor in (13, 12, 11, 14)]:
        version, path = ask(name)
        if version and OLDEST <= version <= NEWEST:
            return path
        if version:
            tried.append("%s is %d.%d" % ((name,) + version))
    raise Lacking(
        "psflow needs Python 3.11 to 3.14 and found none (%s); install one (Debian, Ubuntu: apt-get install "
        "python3.12, macOS: brew install python@3.12) or name yours with make PYTHON=/path/to/python3.12"
        % ("; ".join(tried) or "no python3.x on PATH")
    )


def ask(python):
    """Return (version, path outside any virtual environment) of an interpreter, or (None, None)."""
    try:
        with open(os.devnull, "w") as nowhere:
            out = subprocess.check_output([python, "-E", "-c", PROBE], stderr=nowhere).decode()
        version, path = out.strip().split(" ", 1)
        major, minor = version.split(".")
        return (int(major), int(minor)), os.path.realpath(path)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None, None


def wanted_stamp(python):
    """Return two lines: the interpreter and place that .venv is made for, and a digest of what is installed in it."""
    digest = hashlib.sha256()
    for name in ("requirements.lock", "pyproject.toml"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return "%s in %s\n%s\n" % (python, ROOT, digest.hexdigest())


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except (IOError, OSError):
        return ""


def make_folder():
    """Make .runtime; every later error of the disk is then about its size."""
    if not os.path.isdir(RUNTIME):
        os.makedirs(RUNTIME)
    with open(os.path.join(RUNTIME, "CACHEDIR.TAG"), "w") as file:
        file.write("Signature: 8a477f597d28d172789f06886806bc55\n")
    free = shutil.disk_usage(RUNTIME).free // 1000000
    if free < DISK_MB and not os.path.isdir(VENV):
        raise Lacking(FULL % (ROOT, free, DISK_MB))


def only_one():
    """Return a lock file, held while open: `make test` beside `make demo` waits for its turn."""
    import fcntl

    file = open(os.path.join(RUNTIME, "bootstrap.lock"), "w")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def install(python, fresh):
    """Install the lock into .venv, made anew when `fresh`. Without the stamp an interrupted one is made anew."""
    say("installing the locked packages into .venv" + (" (the first time takes about a minute)" if fresh else ""))
    uv = get_uv(python)
    if fresh:
        run("make .venv", [uv, "venv", "--quiet", "--clear", "--no-python-downloads", "--python", python, VENV])
    else:
        os.remove(STAMP)
    locked = ["--require-hashes", "--compile-bytecode", os.path.join(ROOT, "requirements.lock")]
    run("install requirements.lock", [uv, "pip", "sync", "--quiet", "--python", PYTHON] + locked)
    own = ["--no-deps", "--no-build-isolation", "-e", ROOT]
    run("install psflow itself", [uv, "pip", "install", "--quiet", "--python", PYTHON] + own)


def get_uv(python):
    """Return uv of the pinned version, fetched by pip into .runtime/uv, from wherever pip is set up to look."""
    home = os.path.join(RUNTIME, "uv")
    uv = os.path.join(home, "bin", "uv")
    if glob.glob(os.path.join(home, "uv-%s.dist-info" % UV)) and os.access(uv, os.X_OK):
        return uv
    if subprocess.call([python, "-m", "pip", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        raise Lacking(
            "%s has no pip; install it (Debian, Ubuntu: apt-get install python3-pip, elsewhere: %s -m ensurepip)"
            % (python, python)
        )
    draft = home + ".new"
    shutil.rmtree(draft, ignore_errors=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "--target", draft]
    run("get uv", pip + ["uv==" + UV])
    shutil.rmtree(home, ignore_errors=True)
    os.rename(draft, home)
    return uv


def run(what, command):
    """Run one step; its own words stay on the screen."""
    env = dict(os.environ, PIP_USER="0", PIP_REQUIRE_VIRTUALENV="0", PIP_ROOT_USER_ACTION="ignore")
    env.setdefault(
        "UV_CACHE_DIR", os.path.join(RUNTIME, "uv-cache")
    )  # same disk as .venv: files are linked, not copied
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "CONDA_PREFIX", "UV_PYTHON", "UV_SYSTEM_PYTHON"):
        env.pop(name, None)
    code = subprocess.call(command, env=env, cwd=ROOT)
    free = shutil.disk_usage(RUNTIME).free // 1000000
    if code and free < 100:
        raise Lacking(FULL % (ROOT, free, DISK_MB))
    if code:
        raise Lacking("could not %s: the reason is above; without a network, set up pip's and uv's index first" % what)


def say(text):
    sys.stderr.write("psflow: %s\n" % text)


def explain(error):
    """Return one sentence for an error of the disk."""
    if error.errno == errno.ENOSPC:
        return FULL % (ROOT, 0, DISK_MB)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "%s may not be written; clone psflow into a folder of yours" % (error.filename or ROOT)
    return "cannot set psflow up in %s: %s" % (ROOT, error)


if __name__ == "__main__":
    try:
        main()
    except Lacking as error:
        say(error)
        sys.exit(2)
    except (IOError, OSError) as error:
        say(explain(error))
        sys.exit(2)
    except KeyboardInterrupt:
        say("interrupted; the next make goes on")
        sys.exit(130)
