"""Models, data and pages that the tests of whole commands work with."""
