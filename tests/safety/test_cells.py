"""A name in any cell of a data set's tables is in no log, no table and no error, whatever it stands in for."""

import csv
import gzip
import io
import json
import logging
import re
import traceback
from pathlib import Path

import pytest

from mmpkd.cohorts.rejections import refuse_too_many
from mmpkd.config.cohorts import Cohort
from mmpkd.outputs.table_cohorts import count_all
from tests import cohorts
from tests.safety.conftest import LABELS
from tests.safety.planted import NAME, WORDS, secrets_in

WORDS_OF = {  # of a kind of file: texts and numbers
    ".json": r'"[^"]+"|(?<=[\s\[,:])-?\d[\d.]*',
    ".xml": r'(?<=")[^"<>]+(?=")|(?<=>)[^<>\s][^<>]*(?=<)',
    "Info.txt": r"\S+",
}
WORDS_A_FILE = 8  # at least, of which one after the other is replaced


def said(adapter: str, root: Path, log: io.StringIO, limit: float = 0.0) -> str:
    """What reading a tree says: its log, the table of cohorts or the traceback, and the message about the rejected."""
    log.seek(0)
    log.truncate()
    shown = ""
    try:
        cohort = Cohort(adapter=adapter, root=root)
        tables = cohorts.read(cohort, LABELS)
        shown = count_all({adapter: tables}).frame.to_csv()
        refuse_too_many(tables.rejected["reason"], tables.kept, limit)
    except Exception:  # whichever it is, its traceback would be in the job's log
        shown += traceback.format_exc()
    return log.getvalue() + shown


@pytest.fixture
def log():
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def planted_tables(path: Path):
    """A table with the name in each of its columns, a row each; then, asked for more, in one column alone."""
    packed = path.suffix == ".gz"
    content = path.read_bytes()
    text = (gzip.decompress(content) if packed else content).decode("utf-8-sig", "replace")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    every = range(len(header))
    for columns in [every, *([column] for column in every)] if rows else ():
        changed = [list(row) for row in rows]
        for number, column in enumerate(columns):
            row = changed[number % len(rows)]
            row[column : column + 1] = [NAME]
        stream = io.StringIO()
        csv.writer(stream).writerows([header, *changed])
        data = stream.getvalue().encode()
        yield gzip.compress(data, 1) if packed else data


def kind(path: Path) -> str:
    """The suffix of a file; the name of a table that has a suffix of texts."""
    return path.name if path.name in WORDS_OF else path.suffix


def planted_words(path: Path):
    """A file with the name in place of one text or number; some of them, from its begin to its end."""
    text = path.read_text(encoding="utf-8", errors="replace")
    words = list(re.finditer(WORDS_OF[kind(path)], text))
    for found in words[:: max(1, len(words) // WORDS_A_FILE)]:
        name = json.dumps(NAME) if path.suffix == ".json" else NAME
        yield (text[: found.start()] + name + text[found.end() :]).encode()


PLANTED = {".csv": planted_tables, ".gz": planted_tables} | dict.fromkeys(WORDS_OF, planted_words)


def test_no_cell_is_revealed(tree, log):
    adapter, root = tree
    files = sorted(path for path in root.rglob("*") if kind(path) in PLANTED)
    assert files and "Traceback" not in said(adapter, root, log, limit=1.0)
    for path in files:
        whole = path.read_bytes()
        for planted in PLANTED[kind(path)](path):
            path.write_bytes(planted)
            text = said(adapter, root, log)
            assert secrets_in(text, set(WORDS)) == [], path.name
            if PLANTED[kind(path)] is planted_tables and "read(cohort" not in text:
                break  # it was read to its end with the name in every column
        path.write_bytes(whole)


def test_the_search_is_not_blind(log):
    logging.getLogger("mmpkd").warning("row of %s", NAME)
    assert secrets_in(log.getvalue(), set(WORDS)) == ["Quagmire", "Zebulon"]
