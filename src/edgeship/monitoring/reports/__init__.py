"""What a client reports of a week: counts only, in a form with a version, read strictly."""
