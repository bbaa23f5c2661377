import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.tracking.mlflow_setup import LONGEST, masked, warn

WORD = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789-._~!$", min_size=1, max_size=20)


@given(user=WORD, password=WORD, rest=WORD)
def test_no_user_and_no_password_survives_masking(user: str, password: str, rest: str) -> None:
    text = f"cannot reach https://{user}:{password}@host.example/{rest} twice"
    assert masked(text) == f"cannot reach https://***@host.example/{rest} twice"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://u:p/w@db:5432/x", "postgresql://***@db:5432/x"),
        ("http://token@host/x", "http://***@host/x"),
        ("https://s3/x?a=1&X-Amz-Signature=abc", "https://s3/x?a=1&X-Amz-Signature=***"),
        ("https://host/a/b", "https://host/a/b"),
        ("sqlite:////home/someone/mlflow.db", "sqlite:////home/someone/mlflow.db"),
    ],
)
def test_masking(text: str, expected: str) -> None:
    assert masked(text) == expected


def test_the_password_of_the_store_is_masked_wherever_it_stands() -> None:
    uri = "postgresql://someone:p%40ss@db/x"
    assert masked("login of someone failed with p@ss or p%40ss", uri) == (
        "login of someone failed with *** or ***"
    )


def test_a_fault_is_one_line_of_bounded_length(capsys: pytest.CaptureFixture[str]) -> None:
    error = OSError("first\nsecond http://a:b@c " + "x" * 5000 + " refused")
    warn("log metrics", error, None, "going on untracked")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("warning: tracking: cannot log metrics (OSError: first second ")
    assert captured.err.endswith(" refused); going on untracked\n")
    assert captured.err.count("\n") == 1
    assert len(captured.err) < LONGEST + 80
    assert "a:b" not in captured.err
