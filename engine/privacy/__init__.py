"""Keys of personal data, and what a person may ask for: to see it and to have it erased."""
