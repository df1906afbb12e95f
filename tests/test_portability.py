"""What only POSIX or only Linux has is asked for before it is used, in few places that are named here.

macOS and Windows run none of these tests: reading the sources stands for that, and each absence is simulated.
"""

import ast
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeship.benchmarks.measure import host_noise
from edgeship.bundle import bundle
from edgeship.convert.rewrites import decompose
from edgeship.devices import machine
from edgeship.runtimes import interpreters
from edgeship.runtimes.browser import memory as browser_memory
from edgeship.runtimes.worker import memory

ROOT = Path(__file__).parents[1]
FOLDERS = ("train", "optimize", "convert", "runtimes", "benchmarks", "src/edgeship")
MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
OF_OS = {
    "WEXITSTATUS", "WIFEXITED", "WIFSIGNALED", "WTERMSIG", "chown", "chroot", "ctermid", "fchmod", "fchown", "fork", "forkpty",
    "getegid", "geteuid", "getgid", "getgroups", "getloadavg", "getpgid", "getpgrp", "getpriority", "getsid", "getuid", "kill",
    "killpg", "lchown", "mkfifo", "mknod", "nice", "openpty", "posix_spawn", "posix_spawnp", "pread", "preadv", "pwrite",
    "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_setaffinity", "sched_yield", "sendfile",
    "setegid", "seteuid", "setgid", "setgroups", "setpgid", "setpriority", "setsid", "setuid", "statvfs", "symlink", "sync",
    "sysconf", "uname", "wait", "wait3", "wait4", "waitid", "waitpid",
}  # fmt: skip
OF_SIGNAL = {
    "SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGTSTP", "SIGUSR1", "SIGUSR2",
    "alarm", "pause", "pthread_kill", "pthread_sigmask", "setitimer", "sigwait", "siginterrupt",
}  # fmt: skip
OF_PATH = {"symlink_to", "lchmod", "mkfifo"}
OPTIONS = {"pass_fds", "preexec_fn", "process_group", "start_new_session", "umask"}
PLACES = ("/bin/", "/dev/", "/etc/", "/proc", "/sys/", "/tmp", "/usr/", "/var/")
ASKS = ("hasattr", "os.name", "sys.platform", "platform.system", ".exists()")
CATCHES = ("ImportError", "AttributeError", "OSError", "Exception")

# Without a question where they stand, and why that will do. All else asks first.
NAMED = {
    ("runtimes/worker/memory.py", "/proc/self/status"): "a constant: whether it exists is asked wherever it is read",
    ("runtimes/worker/memory.py", "/proc/self/clear_refs"): "a constant, written to in a try",
    ("runtimes/browser/memory.py", "/proc"): "a constant: whether it exists is asked before it is read",
    ("benchmarks/measure/host_noise.py", "/proc/loadavg"): "whether it exists is asked in the next line",
    ("src/edgeship/devices/machine.py", "/proc/cpuinfo"): "read in a try, which gives an empty text",
    ("src/edgeship/devices/machine.py", "/proc/meminfo"): "read in a try, which gives an empty text",
    (
        "train/fashion_mnist.py",
        "/usr/share/datasets/fashion-mnist",
    ): "Debian's folder: without it the data come with edgeship",
    ("runtimes/launchers/adb.py", "/data/local/tmp"): "a folder on the phone",
    (
        "runtimes/launchers/local.py",
        "code: resource",
    ): "limits of memory and cores: `unavailable_reason` refuses them off Linux",
    ("runtimes/launchers/local.py", "code: sched_getaffinity"): "as above",
    ("runtimes/launchers/local.py", "code: sched_setaffinity"): "as above",
    ("src/edgeship/pipeline/golden_run.py", "setpriority"): "its absence is suppressed in the line before",
    ("src/edgeship/deploy/channel/patches.py", "code: alarm"): "the code asks with hasattr",
    ("runtimes/clients/typescript_clients.py", "bin"): "of an npm package: of that name on every platform",
    ("runtimes/launchers/qemu.py", "bin"): "QEMU and its guest: `obstacle` refuses all but Debian 12",
    ("runtimes/launchers/qemu.py", "symlink_to"): "as above",
    (
        "runtimes/worker/instruction_marks.py",
        "sched_get_priority_max",
    ): "runs inside the emulator only, on a Linux guest",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "node_modules" not in path.parts and not any(part.is_symlink() for part in path.parents):
                yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def uses(node: ast.AST) -> Iterator[str]:
    """The names of what a node uses of POSIX, of the node alone."""
    match node:
        case ast.Import(names=names):
            yield from (item.name for item in names if item.name in MODULES)
        case ast.ImportFrom(module=str(module), names=names):
            known = {"os": OF_OS, "signal": OF_SIGNAL}.get(module, ())
            yield from (item.name for item in names if item.name in known or module in MODULES)
        case ast.Attribute(value=ast.Name(id="os"), attr=name) if name in OF_OS:
            yield name
        case ast.Attribute(value=ast.Name(id="signal"), attr=name) if name in OF_SIGNAL:
            yield name
        case ast.Attribute(value=ast.Name(id="socket"), attr="AF_UNIX"):
            yield "AF_UNIX"
        case ast.Call(func=ast.Attribute(attr=name)) if name in OF_PATH:
            yield name
        case ast.keyword(arg=str(name)) if name in OPTIONS:
            yield name
        case ast.BinOp(op=ast.Div(), right=ast.Constant(value="bin")):
            yield "bin"
        case ast.Constant(value=str(text)):
            yield from _in_text(text)


def _in_text(text: str) -> Iterator[str]:
    if text.startswith(PLACES) or "/local/tmp" in text or text == "bin/python":
        yield text
    if "import " in text and "\n" in text:  # code for another Python
        try:
            tree = ast.parse(text)
        except SyntaxError:
            return
        yield from sorted({f"code: {name}" for node in ast.walk(tree) for name in uses(node)})


def asks(node: ast.AST) -> bool:
    """Whether a node asks for the system before what is in it, or catches what its absence raises."""
    match node:
        case ast.If(test=test) | ast.IfExp(test=test):
            return any(word in ast.unparse(test) for word in ASKS)
        case ast.BoolOp():
            return any(word in ast.unparse(node) for word in ASKS)
        case ast.Try(handlers=handlers):
            caught = " ".join(ast.unparse(handler.type or ast.Name("Exception")) for handler in handlers)
            return any(word in caught for word in CATCHES)
    return False


def found(node: ast.AST) -> Iterator[str]:
    """Uses without a question, within a node."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    yield from uses(node)
    if not asks(node):
        for child in ast.iter_child_nodes(node):
            yield from found(child)


def test_what_only_posix_has_is_asked_for_first():
    bare = {(name, use) for name, tree in sources() for use in found(tree)}
    assert not bare - set(NAMED), "ask for the platform (hasattr, sys.platform, try) or name the place with its reason"
    assert not set(NAMED) - bare, "no longer there: take it off the list"


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import fcntl", ["fcntl"]),
        ("from os import fork", ["fork"]),
        ("os.killpg(1, signal.SIGKILL)", ["killpg", "SIGKILL"]),
        ("subprocess.run(x, preexec_fn=f)", ["preexec_fn"]),
        ("open('/proc/stat')", ["/proc/stat"]),
        ("venv / 'bin' / 'python'", ["bin"]),
        ("x = 'import os\\nos.fork()'", ["code: fork"]),
        ("if hasattr(os, 'fork'):\n    os.fork()", []),
        ("try:\n    import resource\nexcept ImportError:\n    pass", []),
        ("n = os.getuid() if os.name == 'posix' else 0", []),
        ("os.getpid()", []),
    ],
)
def test_the_lint_sees(code, names):
    assert list(found(ast.parse(code))) == names


def test_nothing_that_only_posix_has_is_imported_at_the_top():
    for name, tree in sources():
        for node in tree.body:
            assert not (isinstance(node, ast.Import | ast.ImportFrom) and list(uses(node))), name


@pytest.fixture
def without_proc(tmp_path, monkeypatch) -> None:
    """A machine without /proc, as macOS and Windows are."""
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    monkeypatch.setattr(memory, "CLEAR_REFS", tmp_path / "proc" / "clear_refs")


def test_memory_without_proc_is_that_since_the_process_began(without_proc):
    pytest.importorskip("resource")
    taken = memory.Memory()
    taken.start()
    baseline, peak = taken.baseline, taken.peak()
    assert baseline and peak and 1_000_000 < baseline <= peak
    assert taken.method == "ru_maxrss (since the process began)"


def test_memory_that_no_one_tells_is_none_with_a_reason(without_proc, monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr(sys, "platform", "win32")
    taken = memory.Memory()
    taken.start()
    taken.freeze()
    assert (taken.baseline, taken.peak()) == (None, None)
    assert taken.method == "win32 does not tell the memory of a process as Linux and macOS do"


def test_memory_of_a_page_without_proc_is_none_with_a_reason(monkeypatch, tmp_path):
    class Page:
        def send(self, *_):
            return {}

    monkeypatch.setattr(browser_memory, "PROC", tmp_path / "proc")
    page: Any = Page()
    taken = browser_memory.RendererMemory(page, page)
    taken.start()
    assert taken.peak() is None
    assert "on Linux only" in taken.method


def test_a_machine_without_proc_and_affinity_is_described(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(machine, "_read_field", lambda *_: "")
    described = machine.describe_machine.__wrapped__()
    assert described["memory_mb"] is None
    assert described["cores"] == os.cpu_count()
    assert described["cpu"]


def test_a_machine_without_load_averages_is_judged_by_its_own_loop(monkeypatch):
    monkeypatch.delattr(os, "getloadavg", raising=False)
    state = host_noise.check_host(loop=lambda: 1.0, runnable=lambda: None, cores=2)
    assert state.stable
    assert (state.load, state.runnable) == (None, None)


def test_limits_and_boards_say_what_they_need(monkeypatch):
    from edgeship.devices.profiles import find_device
    from edgeship.runtimes.launchers import debian, find_launcher

    monkeypatch.setattr(sys, "platform", "darwin")
    assert find_launcher(find_device("host-1t")).unavailable_reason() == "limits of memory and cores need Linux"
    monkeypatch.setattr(debian, "find_program", lambda _: None)
    assert (find_launcher(find_device("cortex-a72")).unavailable_reason() or "").startswith(
        "apt-get is not here: emulated boards"
    )


@pytest.mark.parametrize(("name", "program"), [("nt", "Scripts/python.exe"), ("posix", "bin/python")])
def test_an_environment_has_its_python_where_the_system_puts_it(name, program, monkeypatch):
    folder = Path("venv")
    monkeypatch.setattr(os, "name", name)
    assert interpreters.interpreter_of(folder).as_posix() == f"venv/{program}"


def test_a_draft_is_never_asked_after_by_a_signal_on_windows(tmp_path, monkeypatch):
    def kill(*_):
        raise AssertionError("os.kill ends the process there")

    draft = tmp_path / f".bundle.{os.getpid()}.draft"
    draft.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", kill)
        patch.setattr(os, "name", "nt")
        young = bundle._is_alive(draft)
        os.utime(draft, (0, 0))
        old = bundle._is_alive(draft)
    assert (young, old) == (True, False)


def test_a_graph_is_rewritten_where_links_are_not_allowed(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "weights").write_bytes(b"12")
    decompose.link_or_copy(tmp_path / "weights", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"12"
