"""A model of Hugging Face is downloaded once; the server is a real one on this machine."""

import hashlib
from pathlib import Path

from pytest_httpserver import HTTPServer

from tests.helpers.newsletter import Newsletter
from tests.helpers.sentence_model import MODEL, SHA256, TOKENIZER


def serve(httpserver: HTTPServer, name: str, path: Path) -> None:
    """Serve a file as Hugging Face does: with its checksum and the commit of the repository."""
    content = path.read_bytes()
    headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": "a" * 40}
    httpserver.expect_request(f"/lab/minilm/resolve/main/{name}").respond_with_data(content, headers=headers)


def configure(newsletter: Newsletter, httpserver: HTTPServer, **settings: str) -> None:
    newsletter.with_sample()
    given = {"model": "lab/minilm", "endpoint": httpserver.url_for("").rstrip("/"), "sha256": SHA256, **settings}
    newsletter.configure(ranking={"semantic": given})


def test_it_is_downloaded_once_and_used_without_the_network_after_that(
    newsletter: Newsletter, httpserver: HTTPServer
) -> None:
    serve(httpserver, "onnx/model.onnx", MODEL)
    serve(httpserver, "tokenizer.json", TOKENIZER)
    configure(newsletter, httpserver)
    newsletter.run("index")
    asked = len(httpserver.log)
    assert asked >= 2
    newsletter.run("index")
    assert len(httpserver.log) == asked


def test_a_model_with_another_checksum_is_refused(newsletter: Newsletter, httpserver: HTTPServer) -> None:
    serve(httpserver, "onnx/model.onnx", MODEL)
    serve(httpserver, "tokenizer.json", TOKENIZER)
    configure(newsletter, httpserver, sha256="1" * 64)
    assert f"has the SHA-256 checksum {SHA256}" in newsletter.run("index", code=2).err


def test_a_model_that_is_not_there_is_an_error_in_one_line(newsletter: Newsletter, httpserver: HTTPServer) -> None:
    headers = {"X-Error-Code": "RepoNotFound"}
    httpserver.expect_request("/lab/unknown/resolve/main/onnx/model.onnx").respond_with_data(
        status=404, headers=headers
    )
    configure(newsletter, httpserver, model="lab/unknown")
    err = newsletter.run("index", code=1).err
    assert "onnx/model.onnx of lab/unknown could not be downloaded" in err
    assert len(err.splitlines()) == 1


def test_with_a_path_or_without_a_checksum_nothing_is_requested(newsletter: Newsletter, httpserver: HTTPServer) -> None:
    configure(newsletter, httpserver, model=str(MODEL), tokenizer=str(TOKENIZER))
    newsletter.run("index")
    newsletter.configure(ranking={"semantic": {"model": "lab/minilm"}})
    newsletter.run("index", code=2)
    assert not httpserver.log
