"""What a child process gets of the environment: what programs run with, and none of the user's secrets.

Standard library only: this file also lies beside the worker on a board or under an emulator.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
from collections.abc import Mapping
from functools import cache

# Further names, separated by commas, `*` at the end for all that begin so: for a custom layer that reads a variable of its own.
FURTHER = "EDGESHIP_CHILD_ENV"
ALLOWED = (
    # The user, their language and folders, where programs and libraries lie
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "LANG", "LANGUAGE", "LC_*", "XDG_*", "TMPDIR", "CI"),
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_*", "GLIBC_TUNABLES", "MALLOC_*", "VIRTUAL_ENV", "CONDA_PREFIX"),
    *("PYTHON*", "COV_*", "COVERAGE_*", "NODE_*", "PYENV_ROOT", "PYENV_VERSION", "ASDF_DIR", "ASDF_DATA_DIR"),
    *("VOLTA_HOME", "NVM_DIR", "NVM_BIN", "NO_COLOR", "FORCE_COLOR"),
    # Windows
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "APPDATA", "LOCALAPPDATA", "OS"),
    *("PROGRAMDATA", "PROGRAMFILES*", "COMMONPROGRAMFILES*", "PROGRAMW6432", "USERPROFILE", "USERNAME", "HOMEDRIVE"),
    *("HOMEPATH", "NUMBER_OF_PROCESSORS", "PROCESSOR_*"),
    # What computes, and a browser
    *("OMP_*", "GOMP_*", "KMP_*", "OPENBLAS_*", "MKL_*", "BLIS_*", "VECLIB_*", "NUMEXPR_*", "ONEDNN_*", "DNNL_*"),
    *("TF_*", "TF2_*", "KERAS_*", "XLA_*", "CUDA_*", "NVIDIA_*", "ORT_*", "TFLITE_*", "LITERT_*", "XNNPACK_*"),
    *("EDGESHIP_*", "QEMU_*", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS"),
    *("PLAYWRIGHT_*", "CHROME_DEVEL_SANDBOX", "FONTCONFIG_*", "LIBGL_*", "MESA_*", "GALLIUM_*", "VK_*"),
)
# Names that begin as those above and are secrets all the same; TF_VAR_ and TF_CLI_ are Terraform's.
SECRET = re.compile("TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|^TF_VAR_|^TF_CLI_")
# What only some children need: those that download and install, ssh, adb.
NETWORK = (
    *("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_*", "UV_*", "NPM_*", "NODE_AUTH_TOKEN"),
)
SSH = ("SSH_*", "KRB5*", "DISPLAY")
ADB = ("ANDROID_*", "ADB_*")
SEARCHED = ("PATH", "PYTHONPATH", "NODE_PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")


def child_environment(further: Mapping[str, str] | None = None, *groups: tuple[str, ...]) -> dict[str, str]:
    """The environment of a child: the allowed part of this process's own, that of `groups` (patterns of names), and `further`.

    What programs search for code (`SEARCHED`) does not hold the working folder, which an empty entry means as well.
    """
    variables = {name: value for name, value in os.environ.items() if _is_passed_on(name.upper())}
    for group in groups:
        variables |= matching_variables(group)
    for name in set(SEARCHED) & set(variables):
        variables[name] = _without_working_folder(variables[name])
        if not variables[name] and name != "PATH":
            del variables[name]
    return variables | dict(further or {})


def find_program(name: str, path: str | None = None) -> str | None:
    """The absolute path of a program, as `shutil.which` finds it in `path` (`PATH`), but never by way of the working folder.

    Windows looks there first, and an empty or relative entry means it.
    """
    folders = (os.environ.get("PATH", os.defpath) if path is None else path).split(os.pathsep)
    suffixes = os.environ.get("PATHEXT", ".COM;.EXE;.BAT;.CMD").split(os.pathsep) if os.name == "nt" else []
    endings = [*suffixes, ""]
    places = [os.path.join(folder, name + ending) for folder in folders if os.path.isabs(folder) for ending in endings]
    return next(filter(None, map(shutil.which, places)), None)


def matching_variables(patterns: tuple[str, ...]) -> dict[str, str]:
    """The variables of this process whose names, in upper case, match one of the patterns."""
    return {name: value for name, value in os.environ.items() if _matches_any(name.upper(), patterns)}


def _is_passed_on(name: str) -> bool:
    further = tuple(part.strip().upper() for part in os.environ.get(FURTHER, "").split(","))
    return (_matches_any(name, ALLOWED) and not SECRET.search(name)) or _matches_any(name, further)


def _matches_any(name: str, patterns: tuple[str, ...]) -> bool:
    return bool(_compile_patterns(patterns).match(name))


@cache
def _compile_patterns(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, patterns)))


def _without_working_folder(paths: str) -> str:
    entries = [item for item in paths.split(os.pathsep) if item]
    return os.pathsep.join(
        os.path.abspath(item) for item in entries if os.path.isabs(item) or os.path.abspath(item) != os.getcwd()
    )
