"""A model that chats, for tests of whole clusters."""

import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def chat_model():
    """The path of a real small model, or of a tiny one with random weights; skips where there is neither."""
    candidates = [
        pathlib.Path(os.environ.get("BRAMBLE_MODELS", "")) / "smollm2-135m-instruct-q4_1.gguf",
    ]
    for path in candidates:
        if path.is_file():
            return path
    pytest.skip("smollm2-135m-instruct-q4_1.gguf is not in BRAMBLE_MODELS (tools/get-models fetches it)")
