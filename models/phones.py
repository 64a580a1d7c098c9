"""Phone numbers in one form, however somebody writes them.

Pure. The form is E.164 (`+351912345678`); what is no number of any country keeps its digits alone, so that it is
still found by itself.
"""

import functools
import re

import phonenumbers

__all__ = ["has_country", "normal_phone"]

_NO_DIGIT = re.compile(r"[^0-9]")


def has_country(phone: str) -> bool:
    """Tell whether a number names its country by itself, with `+` or `00` in front."""
    return phone.lstrip(" (").startswith(("+", "00"))


@functools.lru_cache(maxsize=4096)  # parsing takes 20 µs, and a delivery is stored ten times in its life
def normal_phone(phone: str, country: str | None) -> str:
    """Return the one form of a phone number.

    Parameters
    ----------
    phone
        As somebody wrote it.
    country
        Two letters of ISO 3166: where a number without a country is dialled.
    """
    digits = _NO_DIGIT.sub("", phone)
    # 00 is what most of the world dials for +, also where no country is known
    dialled = f"+{digits[2:]}" if phone.lstrip(" (").startswith("00") else phone
    try:
        number = phonenumbers.parse(dialled, country)
    except phonenumbers.NumberParseException:
        return digits
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
