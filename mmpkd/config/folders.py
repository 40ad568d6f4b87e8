"""Paths that a configuration names: `~` is the home folder, and the message about a missing folder says what to do."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("~ stands for a home folder, and none is known here; write the path out") from None


def _not_blank(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise ValueError("an empty path; write it out, or null")
    return value


HomePath = Annotated[Path, BeforeValidator(_not_blank), AfterValidator(_expanded)]
HomeName = Annotated[str, AfterValidator(lambda name: str(_expanded(Path(name))) if name.startswith("~") else name)]


def absent(folder: Path) -> str:
    """What to say of a folder that is not there, with its most likely cause; of an empty one; "" of any other."""
    if not folder.is_dir():
        return f"there is no folder {folder}; {_cure(folder)}"
    with suppress(PermissionError):  # what may be entered and not listed can hold data
        if not any(folder.iterdir()):
            return f"the folder {folder} is empty; download the data set there or correct the path"
    return ""


def _cure(folder: Path) -> str:
    text = str(folder)
    if folder.is_symlink():
        return "it is a link to nothing: is the disk that it leads to mounted?"
    if folder.exists():
        return "it is a file: unpack it, or name the folder that it lies in"
    if _is_forbidden(folder):
        return "a folder on the way to it may not be entered: ask for permission"
    if text != text.strip() or any(part != part.strip() for part in folder.parts):
        return "its name begins or ends with a blank: correct the path"
    if "$" in text:
        return "variables of the shell are not replaced: write the path out"
    if "\\" in text or text[1:2] == ":":
        return "this is a path of Windows: write it with / and as it is called here"
    if not folder.is_absolute():
        return "it is relative to the folder where the command is run: go there, or write the path out"
    return "download the data set there or correct the path"


def _is_forbidden(folder: Path) -> bool:
    try:
        os.stat(folder)
    except OSError as error:
        return error.errno == errno.EACCES
    except ValueError:  # letters that the locale does not have
        return False
    return False
