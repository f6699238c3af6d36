"""Options: their types, defaults and checks, and the command line made from them."""
