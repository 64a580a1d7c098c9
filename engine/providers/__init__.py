"""Services of others (maps, weather, geocoding, SMS, e-mail, push), each behind a circuit breaker: a file each."""
