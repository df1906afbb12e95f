"""Which layers of an int8 model cost what, and which of them are better left in higher precision."""
