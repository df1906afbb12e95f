"""A model as a module of an Android project that Google Play delivers: an AI pack."""
