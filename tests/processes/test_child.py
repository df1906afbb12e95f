import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgeship import errors
from edgeship.processes.child import FunctionProcess, training_env
from edgeship.processes.executors import ProcessExecutor
from edgeship.recipes import quantization


def test_a_function_is_called_in_another_process():
    with FunctionProcess("test") as process:
        assert process.call("os:getpid") == process.pid != os.getpid()
        assert process.call("os.path:join", **{"a": "x"}) == "x"


def test_a_function_that_is_given_itself_returns_what_its_type_says():
    with FunctionProcess("test") as process:
        support = process.call(quantization.recipe_support, recipe="static_w8a8", fmt="tflite")
    assert support == quantization.recipe_support("static_w8a8", "tflite")


def test_an_error_of_ours_keeps_its_type_and_exit_code():
    with FunctionProcess("test") as process, pytest.raises(errors.InputError, match="unknown variant 'x'"):
        process.call("edgeship.recipes.quantization:for_variant", variant="x")


def test_any_other_error_names_the_process_and_the_next_call_works():
    with FunctionProcess("test") as process:
        with pytest.raises(errors.ProcessError, match="FileNotFoundError in the test process"):
            process.call("os:listdir", path="/no/such/folder")
        assert process.call("os:getpid") == process.pid
    process.log.unlink(missing_ok=True)


def test_a_crash_is_told_with_its_signal():
    with FunctionProcess("test") as process, pytest.raises(errors.ProcessError, match="was killed by SIGABRT"):
        process.call("os:abort")
    process.log.unlink()


def test_a_hang_ends_after_its_time_limit():
    with FunctionProcess("test") as process, pytest.raises(errors.ProcessError, match="took longer than 1 s"):
        process.call_within(1, subprocess.run, args=["sleep", "60"])  # time.sleep takes no names
    process.log.unlink()


def test_ctrl_c_is_left_to_the_parent():
    with FunctionProcess("test") as process:
        process.call("os:getpid")
        os.kill(process.pid, signal.SIGINT)
        assert process.call("os:getpid") == process.pid


def test_a_child_that_we_stop_leaves_no_log():
    with FunctionProcess("test") as process:
        process.kill()
    assert not process.log.exists()


def test_a_module_that_cannot_be_imported_ahead_does_not_matter():
    with FunctionProcess("test", ahead=["no_such_module"]) as process:
        assert process.call("os:getpid") == process.pid


def test_what_the_child_prints_does_not_disturb_the_answers():
    with FunctionProcess("test") as process:
        assert process.call("os:system", command="echo chatter") == 0
        assert process.call("os:getpid") == process.pid
        assert "chatter" in process.log_text()


def test_the_child_does_at_its_end_what_was_registered_for_it(tmp_path):
    with FunctionProcess("test", env={"PYTHONPATH": str(Path(__file__).parent)}) as process:
        process.call("remote_helpers:write_at_exit", path=str(tmp_path / "ended"))
    assert (tmp_path / "ended").read_text() == "done"


def test_a_child_that_understands_nothing_any_more_ends_with_an_error():
    with FunctionProcess("test") as process:
        process.stdin.write(b"no message\n")
        with pytest.raises(errors.ProcessError, match="ended with exit code 1"):
            process.call("os:getpid")
    process.log.unlink()


def test_the_child_ends_with_its_parent():
    code = (
        "from edgeship.processes.child import FunctionProcess; import os\n"
        "process = FunctionProcess('test'); process.call('os:getpid'); print(process.pid, flush=True); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    # The child sees the end of its stream; it is no child of ours, so its end shows as a missing process.
    for _ in range(1000):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        subprocess.run(["sleep", "0.01"], check=True)
    raise AssertionError(f"process {pid} outlived its parent")


def test_training_uses_onednn_unless_it_is_turned_off(monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    assert training_env() == {"TF_ENABLE_ONEDNN_OPTS": "1"}
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert training_env() == {"TF_ENABLE_ONEDNN_OPTS": "0"}


def test_an_executor_whose_process_crashes_goes_on_in_another():
    executor = ProcessExecutor("test")
    try:
        first = executor.call("os:getpid")
        with pytest.raises(errors.ProcessError, match="was killed by SIGABRT") as caught:
            executor.call("os:abort")
        assert executor.call("os:getpid") != first
        Path(str(caught.value).partition("(")[2].partition(")")[0]).unlink()  # the log that the message names
    finally:
        executor.close(after_failure=False)
