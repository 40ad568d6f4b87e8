"""A storage that fails stops the job, where a broken file is set aside: no reader takes the one for the other."""

import builtins
import errno
import io
import os
from pathlib import Path

import pytest

from mmpkd.cohorts.datasets import cbis_ddsm, inbreast, mimic_cxr, open_i
from mmpkd.cohorts.listing import list_files
from mmpkd.files import StorageError
from mmpkd.imaging import reading

READERS = {
    "image": lambda path: reading.read_display(path, "minmax"),
    "picture": lambda path: reading.read_display(path.with_suffix(".png"), "minmax"),
    "header": reading.read_header,
    "mask": reading.read_mask,
    "MIMIC report": mimic_cxr.studies._read,
    "Open-i report": open_i.reports.read_report,
    "CBIS header": cbis_ddsm.files.try_header,
    "INbreast contours": inbreast.read_contours,
    "Open-i view": open_i.views._read_view,
    "listing": lambda path: list_files(path.parent, (".dcm",)),
}


@pytest.fixture
def failing(tmp_path, monkeypatch):
    """A folder with a file that cannot be read for the reason of the given number; its folder cannot either."""

    def fail(number: int) -> Path:
        def refuse(*_, **__):
            raise OSError(number, os.strerror(number), "p10000032")

        path = tmp_path / "p10000032.dcm"
        for file in (path, path.with_suffix(".png")):
            file.write_bytes(b"x")
        for owner, name in ((builtins, "open"), (io, "open"), (io, "FileIO"), (os, "scandir"), (os, "open")):
            monkeypatch.setattr(owner, name, refuse)
        return path

    return fail


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_fault_of_the_storage_stops_the_job(failing, reader):
    with pytest.raises(StorageError, match="Stale") as caught:
        reader(failing(errno.ESTALE))
    assert "p10000032" not in str(caught.value)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_file_that_may_not_be_read_does_not(failing, reader):
    path = failing(errno.EACCES)
    try:
        reader(path)
    except StorageError:
        pytest.fail("the file is to blame")
    except Exception as error:
        assert isinstance(error, ValueError)
