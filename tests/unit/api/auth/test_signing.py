import pytest

from api.auth.signing import SigningKeys
from engine.embedded.secrets import add_secret, keep_newest, read_secrets
from engine.settings import Settings
from models.errors import BadSettings

OLD, NEW = "o" * 32, "n" * 32


def test_the_first_signs_and_all_are_found_by_their_kid():
    keys = SigningKeys([NEW, OLD])
    assert keys.secret == NEW
    assert keys.named(keys.kid) == NEW
    assert keys.named(SigningKeys([OLD]).kid) == OLD
    for wrong in ("", "deadbeef", None, 7, ["a"]):
        assert keys.named(wrong) is None


@pytest.mark.parametrize("secrets", [[], [""], ["short"], [OLD, "short"]])
def test_a_short_key_is_refused_at_start(secrets):
    with pytest.raises(BadSettings, match="OUTRIDER_JWT_SECRETS"):
        SigningKeys(secrets)


def test_what_was_seen_before_a_rotation_is_recognised_after_it():
    before = SigningKeys([OLD]).fingerprints(b"body")[0]
    assert before in SigningKeys([NEW, OLD]).fingerprints(b"body")
    assert before not in SigningKeys([NEW, OLD]).fingerprints(b"other")
    assert before not in SigningKeys([NEW]).fingerprints(b"body")


def test_a_list_of_keys_goes_before_the_single_one(monkeypatch):
    monkeypatch.setenv("OUTRIDER_JWT_SECRETS", f'["{NEW}"]')
    monkeypatch.setenv("OUTRIDER_JWT_SECRET", OLD)
    settings = Settings(_env_file=None)
    assert settings.signing_secrets == (NEW, OLD)
    assert NEW not in repr(settings)


def test_development_keys_are_private_and_the_newest_stay(tmp_path):
    [first] = read_secrets(tmp_path, "jwt")
    assert read_secrets(tmp_path, "jwt") == (first,)
    assert add_secret(tmp_path, "jwt") == 2
    newest, second = read_secrets(tmp_path, "jwt")
    assert (second, newest != first) == (first, True)
    for _ in range(5):
        count = add_secret(tmp_path, "jwt")
    assert count == 4
    assert (tmp_path / "secrets" / "jwt").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    newest = read_secrets(tmp_path, "jwt")[0]
    assert keep_newest(tmp_path, "jwt") == 3
    assert read_secrets(tmp_path, "jwt") == (newest,)
