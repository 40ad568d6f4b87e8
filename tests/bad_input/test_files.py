"""Files as they are on users' disks: a copy of a phantom tree is changed as systems and people change it."""

import gzip
import shutil

from tests.bad_input.catalogue import accepted, over, set_aside, stops
from tests.bad_input.test_tables import (
    METADATA,
    READINGS,
    SPLIT,
    UNREADABLE,
    changed,
    hold_tables,
    identifiers,
    raw,
    same,
    trees,  # noqa: F401 (a fixture)
)

RESOURCE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(50)
ZIP = b"PK\x03\x04" + bytes(40)


def files(root, pattern):
    return sorted(path for path in root.rglob(pattern) if path.is_file())


def renamed(pattern, change):
    """Files have other names."""

    def breaks(root):
        found = files(root, pattern)
        assert found
        for path in found:
            path.rename(path.with_name(change(path.name)))

    return breaks


def beside(pattern, change, data=None):
    """A file lies beside each: a copy, or other data."""

    def breaks(root):
        for path in files(root, pattern):
            other = path.parent / change(path.name)
            other.parent.mkdir(exist_ok=True)
            other.write_bytes(path.read_bytes() if data is None else data)

    return breaks


def reports(change, most=None):
    """The text of the first reports, or of all, goes through `change`."""

    def breaks(root):
        for path in files(root, "s*.txt")[:most]:
            path.write_bytes(change(path.read_bytes()))

    return breaks


def moved(pattern, to, back=True):
    """Folders lie elsewhere, relative to the root, and links (`back`) lead to them."""

    def breaks(root):
        store = root / to
        for path in sorted(path for path in root.glob(pattern) if path.is_dir()):
            place = store / path.relative_to(root)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
            if back:
                path.symlink_to(place)

    return breaks


def unmounted(root):
    moved("files/*", "../disk")(root)
    shutil.rmtree(root.parent / "disk")


def one_report_outside(root):
    path = files(root, "s*.txt")[0]
    path.rename(root.parent / "outside.txt")
    path.symlink_to(root.parent / "outside.txt")


def unfinished(root):
    (root / "ms-cxr/MS_CXR_Local_Alignment_v9.0.0.csv.part").write_text("x")


def copied_by_a_mac(root):
    shutil.copytree(root / "files", root / "__MACOSX" / "files")
    for path in files(root / "files", "*"):
        (path.parent / f"._{path.name}").write_bytes(RESOURCE)


def upper(name):
    stem, dot, suffix = name.partition(".")
    return stem + dot + suffix.upper()


def read_whole(tables, tree):
    return same(tables, tree) and tables.privileged["report"].str.len().min() > 20


def other_encoding(count):
    return lambda tables, tree: same(tables, tree) and tables.notes["reports_in_another_encoding_than_utf-8"] == count


def all_masks(tables, tree):
    return same(tables, tree) and len(tables.rois) > 8


def foreign(data):
    return data + b"\n 5 \xb5m\n"


MIMIC_CXR = [
    accepted("one report with a Latin-1 byte", reports(foreign, 1), other_encoding(1)),
    accepted("every report with a Latin-1 byte", reports(foreign), read_whole),
    accepted("report in UTF-16", reports(lambda data: data.decode().encode("utf-16"), 1), other_encoding(1)),
    accepted("reports with a byte-order mark", reports(lambda data: b"\xef\xbb\xbf" + data), read_whole),
    accepted("reports with CR alone", reports(lambda data: data.replace(b"\n", b"\r")), read_whole),
    set_aside("report that is a PDF file", reports(lambda _: b"%PDF-1.7\n", 1), "cannot be read: a PDF file"),
    set_aside("report that is RTF", reports(lambda data: b"{\\rtf1 " + data, 1), "cannot be read: an RTF file"),
    set_aside("report that is packed", reports(gzip.compress, 1), "cannot be read: a gzip archive"),
    set_aside("report of an interrupted copy", reports(lambda data: bytes(len(data)), 1), "mostly zero bytes"),
    set_aside("report that an office program saved", reports(lambda _: ZIP, 1), "an office document"),
    stops("every report binary", reports(lambda _: bytes(range(128, 256))), "reports can be used", "not text in UTF-8"),
    stops("every report empty", reports(lambda _: b""), "reports can be used", "x report is empty"),
    accepted("copied by a Mac", copied_by_a_mac, read_whole),
    accepted("thumbnails of a network disk", beside("*.dcm", lambda name: f"@eaDir/{name}", b"x"), read_whole),
    accepted("suffixes in capitals", renamed("*.dcm", upper), read_whole),
    accepted("suffixes of reports in capitals", renamed("s*.txt", upper), read_whole),
    accepted("suffixes of tables in capitals", renamed("mimic-cxr-2*", lambda name: name.upper()), read_whole),
    accepted("folders linked inside the root", moved("files/p1*", "store"), read_whole),
    accepted("the folder of files is a link itself", moved("files", "../disk"), read_whole),
    stops("folders linked to another disk", moved("files/p1*", "../disk"), "links leave", "files/p1", "folders.linked"),
    stops("disk that is not mounted", unmounted, "links lead to nothing", "mounted"),
    set_aside("one report linked to elsewhere", one_report_outside, "report is missing"),
    accepted("link that leads round", lambda root: (root / "files/again").symlink_to("."), read_whole),
    accepted("download that is not finished", unfinished, same),
    accepted("hidden copy of a table", beside(SPLIT, lambda name: f"._{name}", RESOURCE), same),
    stops(
        "table of an interrupted copy", changed(SPLIT, lambda data: data + bytes(len(data))), UNREADABLE, "zero bytes"
    ),
    stops("table that is a workbook", changed(METADATA, lambda _: ZIP), UNREADABLE, "an office document"),
    stops("table packed twice", changed(SPLIT, gzip.compress), UNREADABLE, "a gzip archive"),
    accepted("table in UTF-32", changed(SPLIT, lambda data: data.decode().encode("utf-32")), same),
]
CBIS_DDSM = [
    accepted("copied by a Mac", beside("*.dcm", lambda name: f"._{name}", RESOURCE), all_masks),
    accepted("every file twice", beside("*.dcm", lambda name: f"copy of {name}"), all_masks),
    accepted("suffixes in capitals", renamed("*.dcm", upper), all_masks),
    accepted("suffixes of tables in capitals", renamed("*.csv", upper), all_masks),
    accepted("folders linked inside the root", moved("CBIS-DDSM/Mass-*", "store"), all_masks),
    stops("all folders linked to another disk", moved("CBIS-DDSM/*", "../disk"), "links leave", "folders.linked"),
]
VINDR_CXR = [
    accepted("copied by a Mac", beside("*.dicom", lambda name: f"._{name}", RESOURCE), same),
    accepted("suffixes in capitals", renamed("*.dicom", upper), same),
    accepted("the folder of images is a link itself", moved("test", "../disk"), same),
    accepted("hidden folder with copies", beside("*.dicom", lambda name: f".Trash-1000/{name}"), same),
    stops("table of zero bytes alone", raw(READINGS, bytes(500)), READINGS, UNREADABLE, "zero bytes"),
]


@over(MIMIC_CXR)
def test_mimic_cxr(case, trees, tmp_path):  # noqa: F811
    hold_tables(case, trees["mimic_cxr"], tmp_path, identifiers(trees["mimic_cxr"].root))


@over(CBIS_DDSM)
def test_cbis_ddsm(case, trees, tmp_path):  # noqa: F811
    hold_tables(case, trees["cbis_ddsm"], tmp_path)


@over(VINDR_CXR)
def test_vindr_cxr(case, trees, tmp_path):  # noqa: F811
    hold_tables(case, trees["vindr_cxr"], tmp_path)
