"""What the documents tell people to type exists: programs, verbs, flags, scripts and files."""

import functools
import re
import subprocess

import pytest

from cluster import BIN
from models import ROOT

DOCUMENTS = sorted(p for p in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").rglob("*.md")] if "CHANGELOG" not in p.name)
PROGRAMS = ("bramble", "bramble-coordinator", "bramble-worker")


def commands(text):
    """Lines of indented blocks, and what stands between backticks, cut at the shell's joints."""
    found = re.findall(r"^    (.*)$", text, re.MULTILINE) + [c for c in re.findall(r"`([^`]+)`", text)]
    for line in found:
        for part in re.split(r"&&|\|\||[|;<>]|\s#|\$\(", line):
            words = part.split()
            for i, word in enumerate(words[:-1]):
                if word.rsplit("/", 1)[-1] in PROGRAMS and (i == 0 or words[i - 1] in {"--", "sudo"}):
                    yield [word.rsplit("/", 1)[-1], *words[i + 1 :]]


@functools.cache
def help_of(*words):
    return subprocess.run([BIN / words[0], *words[1:], "--help"], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def verbs():
    listed = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", help_of("bramble").stdout, re.MULTILINE)
    assert {"run", "token create", "node remove"} <= set(listed)
    return sorted(listed, key=len, reverse=True)


def test_there_are_commands_to_look_at():
    assert sum(len(list(commands(document.read_text()))) for document in DOCUMENTS) > 30


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_of_a_document_exists(document, verbs):
    for program, *words in commands(document.read_text()):
        line = " ".join([program, *words])
        verb = ()
        if program == "bramble" and words[0] in {"VERB", "--print-manual", "--version"}:
            continue
        if program == "bramble":
            # A family of verbs may be named by its first word.
            named = [v for v in verbs if line.startswith(f"bramble {v}") or v.startswith(words[0].rstrip(",") + " ")]
            if not re.fullmatch(r"[a-z]+,?", words[0]):
                continue  # a sentence about it, or a line of output
            assert named, line
            verb = named[0].split()
        asked = re.findall(r"(?<!\S)(--[a-z][a-z-]*)", line)
        told = help_of(program, *verb).stdout
        for flag in asked:
            assert f"{flag} " in told or f"{flag}\n" in told, f"{document.name}: {line}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_names_is_there(document):
    text = document.read_text()
    for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", text):
        assert (document.parent / link).exists(), link
    for path in re.findall(r"\b((?:tools|tests|deploy|docs)/[\w./-]*\w)", text):
        assert (ROOT / path).exists() or (document.parent / path).exists(), path
