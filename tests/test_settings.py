"""The service's variables: documented, complete, and refused by name when wrong, without showing what was given."""

import ast
import inspect
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from textwrap import dedent

import pytest
from pydantic import SecretStr

from tests.support.daraja import certificate_pem
from zanari_api import settings as settings_module
from zanari_api.fitness import unfit_for_production
from zanari_api.main import create_app
from zanari_api.settings import Environment, Settings, SettingsInvalid
from zanari_api.worker import create_worker

Give = Callable[..., None]

ROOT = Path(__file__).parents[1]
EXAMPLES = (".env.example", ".env.staging.example", ".env.production.example")
PROFILES = {".env.staging.example": Environment.STAGING, ".env.production.example": Environment.PRODUCTION}
SHOWN = "hunter2-must-not-be-shown"

COMPLETE = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "postgresql://zanari_service@db.test/postgres?sslmode=verify-full",
    "SUPABASE_URL": "https://project.supabase.test",
    "SUPABASE_ANON_KEY": "a publishable key",
    "PII_KEYS": "k1:" + b64encode(sha256(b"a key of these tests").digest()).decode(),
    "MPESA_SHORTCODE": "600000",
    "MPESA_WEBHOOK_SECRET": sha256(b"a secret of these tests").hexdigest(),
    "MPESA_CALLBACK_TOKENS": sha256(b"a token of these tests").hexdigest(),
    "MPESA_ENVIRONMENT": "production",
    "MPESA_CALLBACK_BASE_URL": "https://callbacks.zanari.co.ke",
    "MPESA_CONSUMER_KEY": "a key",
    "MPESA_CONSUMER_SECRET": "a secret",
    "MPESA_PASSKEY": "a passkey",
    "MPESA_B2C_SHORTCODE": "600001",
    "MPESA_INITIATOR_NAME": "zanari",
    "MPESA_INITIATOR_PASSWORD": "a password",
    "MPESA_CERTIFICATE": certificate_pem(),
    "SMS_GATEWAY_URL": "https://sms.zanari.co.ke/messages",
    "SMS_GATEWAY_TOKEN": "a gateway's token",
}

NEEDED_IN_PRODUCTION_ALONE = {"SMS_GATEWAY_URL", "SMS_GATEWAY_TOKEN"}


@pytest.fixture(autouse=True)
def _no_variables_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*Settings.model_fields, "feature_roundup_enabled", "supabase_publishable_key"):
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Give:
    """Set variables, as an operator would."""

    def give(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return give


def documented() -> dict[str, str]:
    """Return the meaning of each field, as written under it."""
    (definition,) = ast.parse(dedent(inspect.getsource(Settings))).body
    assert isinstance(definition, ast.ClassDef)
    meanings: dict[str, str] = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(field.target, ast.Name)
            meanings[field.target.id] = ast.literal_eval(text.value)
    return meanings


def example(file: str = ".env.example", *, commented_out: bool = False) -> dict[str, tuple[str, str]]:
    """Return each variable of an example with the comment above it and its value.

    A variable that is commented out stands there too, where it is asked for: it is documented, and not set.
    """
    text = (ROOT / file).read_text()
    if commented_out:
        text = re.sub(r"^# (?=[A-Z0-9_]+=)", "", text, flags=re.MULTILINE)
    found = re.findall(r"((?:^#.*\n)+)^([A-Z0-9_]+)=(.*)$", text, re.MULTILINE)
    return {
        name: (re.sub(r"\n?^# ?", " ", comment, flags=re.MULTILINE), value) for comment, name, value in found
    }


def test_each_variable_is_documented_where_it_is_declared() -> None:
    assert documented().keys() == Settings.model_fields.keys()


def test_the_example_names_each_variable_and_says_what_the_settings_say() -> None:
    meanings = {name.upper(): text for name, text in documented().items()}
    told = {name: " ".join(comment.split()) for name, (comment, _) in example().items()}
    assert told == meanings


def test_the_example_holds_the_defaults_and_no_secret(given: Give) -> None:
    given(**{name: value for name, (_, value) in example().items()})
    assert Settings.load() == Settings()


@pytest.mark.parametrize("file", PROFILES)
def test_each_profile_names_each_variable_in_order_and_begins_with_what_the_settings_say(file: str) -> None:
    meanings = {name.upper(): text for name, text in documented().items()}
    every = example(file, commented_out=True)
    told = {name: " ".join(comment.split()) for name, (comment, _) in every.items()}
    assert list(told) == list(meanings)
    for name, text in told.items():
        note = text.removeprefix(meanings[name])
        assert note == "" or note.startswith(" Here: "), name
    # An image says its own version, and a variable that is given to it wins over its own.
    assert every.keys() - example(file).keys() == {"APP_VERSION"}


@pytest.mark.parametrize(("file", "profile"), PROFILES.items())
def test_a_profile_is_fit_for_its_environment_and_leaves_open_only_what_is_each_installations_own(
    given: Give, file: str, profile: Environment
) -> None:
    given(**{name: value for name, (_, value) in example(file).items()})
    read = Settings.load()
    assert read.environment is profile
    # Nothing is wrong with what stands there, and what has to be filled in is named at the start.
    unfit = unfit_for_production(read)
    assert unfit.keys() == (set() if profile is Environment.PRODUCTION else {"MPESA_ENVIRONMENT"})
    assert set(read.missing()) >= COMPLETE.keys() - {
        "ENVIRONMENT",
        "MPESA_ENVIRONMENT",
        "MPESA_WEBHOOK_SECRET",
        *(() if profile is Environment.PRODUCTION else NEEDED_IN_PRODUCTION_ALONE),
    }


@pytest.mark.parametrize(("file", "profile"), PROFILES.items())
def test_a_profile_that_is_filled_in_starts(given: Give, file: str, profile: Environment) -> None:
    filled = {name: COMPLETE.get(name, value) or value for name, (_, value) in example(file).items()}
    kept = {name: value for name, (_, value) in example(file).items() if value}
    given(**filled | kept)
    unfit = create_app(Settings.load()).state.parts.unfit_for_production
    assert unfit == (() if profile is Environment.PRODUCTION else ("MPESA_ENVIRONMENT",))


@pytest.mark.parametrize("file", PROFILES)
def test_no_secret_stands_in_a_profile(file: str) -> None:
    for name, (_, value) in example(file).items():
        if SecretStr in getattr(Settings.model_fields[name.lower()].annotation, "__args__", ()):
            assert value == "", name


@pytest.mark.parametrize("file", EXAMPLES)
def test_every_line_of_an_example_is_a_comment_or_a_variable(file: str) -> None:
    for line in (ROOT / file).read_text().splitlines():
        assert re.fullmatch(r"(#.*)?|[A-Z0-9_]+=[^\s\"'#]*", line), line


@pytest.mark.parametrize("name", ["FEATURE_ROLLUP_ENABLED", "FEATURE_ROUNDUP_ENABLED"])
def test_round_ups_have_two_names(given: Give, name: str) -> None:
    given(**{name: "false"})
    assert not Settings.load().feature_rollup_enabled


@pytest.mark.parametrize("name", ["SUPABASE_ANON_KEY", "SUPABASE_PUBLISHABLE_KEY"])
def test_the_publishable_key_has_two_names(given: Give, name: str) -> None:
    given(**{name: SHOWN})
    key = Settings.load().supabase_anon_key
    assert key is not None
    assert key.get_secret_value() == SHOWN


def test_lists_are_comma_separated_and_an_empty_value_is_none(given: Give) -> None:
    given(CORS_ORIGINS="https://a.test, https://b.test,", REDIS_URL=" ", TRUSTED_PROXIES="")
    read = Settings.load()
    assert read.cors_origins == ("https://a.test", "https://b.test")
    assert read.redis_url is None
    assert read.trusted_proxies == ()


@pytest.mark.parametrize("missing", sorted(COMPLETE.keys() - {"ENVIRONMENT", "MPESA_ENVIRONMENT"}))
def test_production_does_not_start_without_what_it_needs(given: Give, missing: str) -> None:
    given(**{name: value for name, value in COMPLETE.items() if name != missing})
    with pytest.raises(SettingsInvalid, match=f"^not set: {missing}"):
        create_app(Settings.load())


REFUSED_IN_PRODUCTION = {
    "debug": ("DEBUG", "true"),
    "debug log": ("LOG_LEVEL", "DEBUG"),
    "wildcard CORS": ("CORS_ORIGINS", "https://app.zanari.co.ke,*"),
    "CORS of any sub-domain": ("CORS_ORIGINS", "https://*.zanari.co.ke"),
    "CORS of no origin": ("CORS_ORIGINS", "null"),
    "untimed signatures": ("MPESA_WEBHOOK_ALLOW_UNTIMED", "true"),
    "sandbox": ("MPESA_ENVIRONMENT", "sandbox"),
    "sandbox host": ("MPESA_BASE_URL", "https://sandbox.safaricom.co.ke"),
    "emulator": ("MPESA_BASE_URL", "https://127.0.0.1:9000"),
    "proxy in clear": ("MPESA_BASE_URL", "http://proxy.zanari.co.ke"),
    "callbacks in clear": ("MPESA_CALLBACK_BASE_URL", "http://callbacks.zanari.co.ke"),
    "callbacks of a private address": ("MPESA_CALLBACK_BASE_URL", "https://10.0.0.1"),
    "forbidden word": ("MPESA_CALLBACK_BASE_URL", "https://mpesa.zanari.co.ke"),
    "embedded Postgres": (
        "DATABASE_URL",
        "postgresql://zanari_service@/zanari?host=/srv/.zanari/postgres/socket",
    ),
    "database in clear": ("DATABASE_URL", "postgresql://zanari_service@db.test/postgres"),
    "database unverified": ("DATABASE_URL", "postgresql://zanari_service@db.test/postgres?sslmode=require"),
    "issuer in clear": ("SUPABASE_URL", "http://project.supabase.test"),
    "emulated issuer": ("SUPABASE_URL", "https://127.0.0.1:54321"),
    "messages in clear": ("SMS_GATEWAY_URL", "http://sms.zanari.co.ke/messages"),
    "emulated messages": ("SMS_GATEWAY_URL", "https://127.0.0.1:9000/messages"),
    "zero key": ("PII_KEYS", "k1:" + "A" * 43 + "="),
    "zero key behind a good one": ("PII_KEYS", f"{COMPLETE['PII_KEYS']},k0:{'A' * 43}="),
    "short secret": ("MPESA_WEBHOOK_SECRET", "correct horse"),
    "secret of one letter": ("MPESA_WEBHOOK_SECRET", "x" * 40),
    "short secret behind a good one": ("MPESA_WEBHOOK_SECRET", f"{COMPLETE['MPESA_WEBHOOK_SECRET']},old"),
    "guessable token": ("MPESA_CALLBACK_TOKENS", "0" * 32),
    "guessable token of a flow": (
        "MPESA_CALLBACK_TOKENS",
        f"{COMPLETE['MPESA_CALLBACK_TOKENS']},stk:{'ab' * 16}",
    ),
}


@pytest.mark.parametrize(("name", "value"), REFUSED_IN_PRODUCTION.values(), ids=REFUSED_IN_PRODUCTION)
def test_production_refuses_what_only_a_rehearsal_may_have(given: Give, name: str, value: str) -> None:
    given(**COMPLETE | {name: value})
    with pytest.raises(SettingsInvalid, match=f"^{name}: ") as refused:
        create_app(Settings.load())
    assert ";" not in str(refused.value)
    if value not in {"true", "null", "sandbox", "DEBUG"}:
        assert value not in str(refused.value)


@pytest.mark.parametrize(("name", "value"), REFUSED_IN_PRODUCTION.values(), ids=REFUSED_IN_PRODUCTION)
def test_staging_starts_with_what_a_rehearsal_may_have_and_knows_it(
    given: Give, name: str, value: str
) -> None:
    given(**COMPLETE | {"ENVIRONMENT": "staging", name: value})
    if name == "MPESA_CALLBACK_BASE_URL":
        # Safaricom would refuse these itself, or call nobody.
        assert name in unfit_for_production(Settings.load())
    else:
        assert create_app(Settings.load()).state.parts.unfit_for_production == (name,)


def test_staging_starts_without_a_gateway_for_text_messages_and_with_one_needs_its_token(given: Give) -> None:
    rehearsal = COMPLETE | {"ENVIRONMENT": "staging", "SMS_GATEWAY_TOKEN": ""}
    given(**rehearsal | {"SMS_GATEWAY_URL": ""})
    assert create_app(Settings.load()).state.parts.sms is None
    given(**rehearsal)
    with pytest.raises(SettingsInvalid, match=r"^not set: SMS_GATEWAY_TOKEN$"):
        create_app(Settings.load())


def test_all_that_production_refuses_is_told_at_once(given: Give) -> None:
    given(**COMPLETE | {"DEBUG": "true", "PII_KEYS": "", "MPESA_ENVIRONMENT": "sandbox", "CORS_ORIGINS": "*"})
    with pytest.raises(
        SettingsInvalid, match=r"^not set: PII_KEYS; DEBUG: .*; CORS_ORIGINS: .*; MPESA_ENVIRONMENT: "
    ):
        create_app(Settings.load())


def test_the_worker_refuses_what_the_api_refuses(given: Give) -> None:
    given(**COMPLETE | {"DEBUG": "true"})
    with pytest.raises(SettingsInvalid, match=r"^DEBUG: "):
        create_worker(Settings.load())


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://zanari_service@127.0.0.1:6432/postgres",
        "postgresql://zanari_service@localhost/postgres",
        "postgresql://zanari_service@/postgres?host=/run/postgresql",
    ],
)
def test_a_connection_that_never_leaves_the_machine_needs_no_certificate(given: Give, url: str) -> None:
    given(**COMPLETE | {"DATABASE_URL": url})
    assert create_app(Settings.load())


def test_what_is_fit_starts_in_production(given: Give) -> None:
    given(**COMPLETE)
    assert create_app(Settings.load()).state.parts.unfit_for_production == ()


def test_staging_starts_without_anything_that_could_sign_the_webhook(given: Give) -> None:
    given(**COMPLETE | {"ENVIRONMENT": "staging", "MPESA_WEBHOOK_SECRET": ""})
    assert create_app(Settings.load())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVIRONMENT", SHOWN),
        ("LOG_LEVEL", SHOWN),
        ("PORT", SHOWN),
        ("PORT", "65536"),
        ("DATABASE_URL", SHOWN),
        ("DATABASE_URL", f"mysql://root:{SHOWN}@db.test/zanari"),
        ("DATABASE_URL", f"postgresql://zanari:{SHOWN}@[::1/zanari"),
        ("DATABASE_MIGRATION_URL", SHOWN),
        ("SUPABASE_URL", SHOWN),
        ("SUPABASE_URL", f"ftp://{SHOWN}"),
        ("SUPABASE_JWT_SECRET", SHOWN),
        ("PII_KEYS", SHOWN),
        ("PII_KEYS", f"kid:{SHOWN}"),
        ("MPESA_SHORTCODE", SHOWN),
        ("MPESA_ENVIRONMENT", SHOWN),
        ("MPESA_BASE_URL", SHOWN),
        ("MPESA_B2C_SHORTCODE", SHOWN),
        ("MPESA_CERTIFICATE", SHOWN),
        ("MPESA_CALLBACK_BASE_URL", SHOWN),
        ("MPESA_CALLBACK_BASE_URL", f"https://{SHOWN}.test/mpesa"),
        ("MPESA_IP_ALLOWLIST", SHOWN),
        ("MPESA_IP_ALLOWLIST_ENFORCED", SHOWN),
        ("MPESA_PULL_METHOD", SHOWN),
        ("WORKER_PORT", SHOWN),
        ("MPESA_WEBHOOK_PUBLIC_KEY", SHOWN),
        ("MPESA_WEBHOOK_ALLOW_UNTIMED", SHOWN),
        ("MPESA_CALLBACK_TOKENS", SHOWN),
        ("MPESA_CALLBACK_TOKENS", f"nowhere:{'0' * 32}"),
        ("REDIS_URL", SHOWN),
        ("TRUSTED_PROXIES", SHOWN),
        ("RATE_LIMIT_SAVER", SHOWN),
        ("RATE_LIMIT_ADDRESS", "0"),
        ("RATE_LIMIT_PIN", "0"),
        ("COLLECTION_NOTICE_S", "-1"),
        ("FEATURE_ROLLUP_ENABLED", SHOWN),
        ("FEATURE_GOALS_ENABLED", SHOWN),
    ],
)
def test_a_wrong_value_stops_the_start_and_is_named_but_not_shown(given: Give, name: str, value: str) -> None:
    given(**COMPLETE | {name: value})
    with pytest.raises(SettingsInvalid) as refused:
        create_app(Settings.load())
    assert name in str(refused.value)
    assert SHOWN not in str(refused.value)
    assert refused.value.__cause__ is None


def test_all_wrong_values_are_named_at_once(given: Give) -> None:
    given(PORT="x", LOG_LEVEL="y")
    with pytest.raises(SettingsInvalid, match=r"LOG_LEVEL: .*; PORT: "):
        Settings.load()


def test_secrets_do_not_show_in_a_representation(given: Give) -> None:
    given(**COMPLETE | {"MPESA_WEBHOOK_SECRET": SHOWN, "METRICS_TOKEN": SHOWN})
    assert SHOWN not in repr(Settings.load())


def test_nothing_is_read_when_a_module_is_imported() -> None:
    assert not [value for value in vars(settings_module).values() if isinstance(value, Settings)]


def test_what_is_secret_is_typed_so() -> None:
    secret = {"url", "key", "keys", "secret", "token", "tokens"}
    plain = {
        "supabase_url",
        "mpesa_webhook_public_key",
        "mpesa_base_url",
        "mpesa_callback_base_url",
        "sms_gateway_url",
    }
    for name, field in Settings.model_fields.items():
        if secret & set(name.split("_")) and name not in plain:
            assert SecretStr in getattr(field.annotation, "__args__", ()), name


def test_development_is_the_default() -> None:
    assert Settings().environment is Environment.DEVELOPMENT


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MPESA_CALLBACK_TOKENS", f"{'a' * 32}:{'b' * 32}"),
        ("REDIS_URL", "redis://:aaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbb@host:6379/0"),
        ("DATABASE_URL", "postgresql://user:aaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbb@host/db"),
    ],
)
def test_a_slip_inside_a_secret_is_told_without_the_secret(given: Give, name: str, value: str) -> None:
    given(**{**COMPLETE, name: value})
    with pytest.raises(SettingsInvalid) as refused:
        create_app(Settings.load())
    assert name in str(refused.value)
    assert "aaaaaaaa" not in str(refused.value)
    assert "bbbbbbbb" not in str(refused.value)
