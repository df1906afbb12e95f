"""Models, pictures and broken clients that the tests of generated clients are made with."""
