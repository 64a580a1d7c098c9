"""What the host hands to its children: the same settings, secrets and all."""

import os

from pydantic import SecretStr

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
