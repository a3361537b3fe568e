"""One file an exercise; `EXERCISES` in the package above names them."""
