"""Configuration: hosts by environment, addresses that Safaricom takes, and secrets that do not show."""

import pytest

from zanari_api.daraja.config import FORBIDDEN_WORDS, DarajaConfig, base_url_of, check_callback_url


@pytest.mark.parametrize(
    ("environment", "override", "url"),
    [
        ("sandbox", None, "https://sandbox.safaricom.co.ke"),
        ("production", None, "https://api.safaricom.co.ke"),
        ("production", "http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
    ],
)
def test_each_environment_has_its_host_unless_it_is_replaced(
    environment: str, override: str | None, url: str
) -> None:
    assert base_url_of(environment, override) == url


def test_an_unknown_environment_is_refused() -> None:
    with pytest.raises(ValueError, match="sandbox, production"):
        base_url_of("staging")


@pytest.mark.parametrize(
    "word", [*FORBIDDEN_WORDS, "exec", "MPESA", "M-Pesa", "Safaricom", "SQL", "Query", "CMD"]
)
@pytest.mark.parametrize("production", [True, False], ids=["production", "sandbox"])
def test_a_forbidden_word_is_named_wherever_it_is(word: str, *, production: bool) -> None:
    for url in (
        f"https://{word}.example.org/callbacks",
        f"https://example.org/{word}ish",
        f"https://example.org/?a={word}",
    ):
        with pytest.raises(ValueError, match="holds the word") as refused:
            check_callback_url(url, production=production)
        assert "example" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "https://localhost",
        "https://127.0.0.1",
        "https://10.0.0.7:8443",
        "https://[::1]",
        "https://api.internal",
        "https://zanari",
        "ftp://example.org",
        "example.org",
        "https://",
        "",
    ],
)
def test_production_needs_a_public_https_address(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be|http"):
        check_callback_url(url, production=True)


@pytest.mark.parametrize("url", ["https://api.zanari.example.org", "https://41.90.1.2/base"])
def test_a_public_https_address_is_taken(url: str) -> None:
    check_callback_url(url, production=True)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://callbacks.zanari.test", "https://example.org"]
)
def test_the_sandbox_takes_any_http_address(url: str) -> None:
    check_callback_url(url, production=False)


def test_no_secret_shows() -> None:
    config = DarajaConfig(
        base_url="http://127.0.0.1",
        consumer_key="hidden-1",
        consumer_secret="hidden-2",
        shortcode="600000",
        passkey="hidden-3",
        initiator_name="zanari",
        initiator_password="hidden-4",
        certificate=b"hidden-5",
    )
    assert "hidden" not in repr(config)
    assert "600000" in repr(config)
