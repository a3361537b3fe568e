"""Look inside a model while its own source runs; the public names are filled in below."""
