"""Travel: how long from place to place, and along which line, from whoever can tell."""
