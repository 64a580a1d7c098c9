"""What the host hands to its children: the same settings, secrets and all."""

import os

import pytest
from pydantic import SecretStr, ValidationError

from engine.environment import environment_of
from engine.settings import NotificationSettings, Settings, SmsSettings


def test_a_child_reads_the_settings_that_its_host_had(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("OUTRIDER_")]:
        monkeypatch.delenv(name)
    sms = SmsSettings(url=SecretStr("https://sms.test/{x}"), token=SecretStr('s3cret, and "quoted"'), timeout_s=1.5)
    settings = Settings(
        var=tmp_path,
        mongo_url=SecretStr("mongodb://user:pass@host/"),
        master_keys=(SecretStr("one"), SecretStr("two")),
        notifications=NotificationSettings(sms=sms),
        prefix="42",
    )
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_a_company_of_its_own_database_needs_room_in_its_name():
    """MongoDB takes 63 bytes for a name: too long a one would be met by the first company that registers."""
    assert Settings(_env_file=None, database="d" * 32, tenancy="database").tenants_apart
    assert Settings(_env_file=None, database="d" * 60, tenancy="shared")
    with pytest.raises(ValidationError, match="OUTRIDER_DATABASE has 32 bytes"):
        Settings(_env_file=None, database="d" * 33, tenancy="database")


def test_history_holds_a_day_until_the_archive_has_it():
    assert Settings(_env_file=None, history={"keep_days": 2})
    assert Settings(_env_file=None, history={"keep_days": 1}, archive={"enabled": False})
    with pytest.raises(ValidationError, match="OUTRIDER_HISTORY__KEEP_DAYS"):
        Settings(_env_file=None, history={"keep_days": 1})
    with pytest.raises(ValidationError, match="OUTRIDER_HISTORY__KEEP_DAYS"):
        Settings(_env_file=None, archive={"settle_h": 700})
