"""What is recognised as a secret, and that nothing else is changed."""

import pytest

from orchestrator.redaction import has_password, is_secret, redacted, without_password


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://me:pw@db:5432/runs", "postgresql://db:5432/runs"),
        ("mysql+pymysql://me:p%40w@db/runs", "mysql+pymysql://db/runs"),
        ("postgresql://me:p/w?x#y@db/runs", "postgresql://db/runs"),
        ("https://token@host/path", "https://host/path"),
        ("s3://key:secret@bucket/runs", "s3://bucket/runs"),
        ("postgresql://db/runs?user=me&sslpassword=pw", "postgresql://db/runs?user=me&sslpassword=***"),
        ("https://x.blob/c?sv=1&sig=abc%3D&se=2", "https://x.blob/c?sv=1&sig=***&se=2"),
        (
            "https://b.s3/k?X-Amz-Credential=a&X-Amz-Signature=b",
            "https://b.s3/k?X-Amz-Credential=***&X-Amz-Signature=***",
        ),
        (
            "cannot open 'postgresql://me:pw@db/runs' (http://a:b@c), or d@e",
            "cannot open 'postgresql://db/runs' (http://c), or d@e",
        ),
    ],
)
def test_addresses_lose_user_password_and_secret_parameters(text: str, expected: str) -> None:
    assert without_password(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:///mlflow.db",
        "http://host:5000/#/experiments/1/runs?workflowType=machine_learning",
        "http://host/search?mail=me@example.org",
        "s3://bucket/runs",
        "contrast.memory.kind: pixel; me@example.org",
        "python -m orchestrator.sweep a.yaml --set optim.lr=0.1",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redacted(text, {"HOME": "/home/me", "SHELL": "/bin/sh"}) == text
    assert not has_password(text)


@pytest.mark.parametrize(
    "address", ["postgresql://me:pw@db/runs", "ftp://me:pw@host/a", "s3://bucket/a?token=x", "https://h/p?sig=x"]
)
def test_addresses_with_a_password(address: str) -> None:
    assert has_password(address)


def test_the_container_of_an_azure_address_is_no_password() -> None:
    assert not has_password("abfs://container@account.dfs.core.windows.net/runs")


@pytest.mark.parametrize(
    "name", ["AWS_SECRET_ACCESS_KEY", "aws_session_token", "HF_TOKEN", "WANDB_API_KEY", "PGPASSWORD_PASS", "GITHUB_PAT"]
)
def test_names_of_secret_variables(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["PWD", "PATH", "TOKENIZERS_PARALLELISM", "RAY_AUTH_TOKEN_PATH", "SSL_CERT_FILE", "MONKEY", "USER"]
)
def test_names_of_other_variables(name: str) -> None:
    assert not is_secret(name)


def test_values_of_secret_variables_are_hidden_wherever_they_stand() -> None:
    environment = {
        "HF_TOKEN": "hf_abcdef",
        "LONGER_TOKEN": "hf_abcdef_and_more",
        "SHORT_KEY": "1",
        "DATABASE_URL": "postgresql://me:s%2Fcret-pw@db/runs",
    }
    text = "1 refused hf_abcdef, hf_abcdef_and_more, s%2Fcret-pw and s/cret-pw"
    assert redacted(text, environment) == "1 refused ***, ***, *** and ***"
