"""Services of others (maps, weather, traffic, geocoding, SMS, e-mail, push), each behind a breaker: a file each."""
