"""The methods of the checks: numbers in, numbers out."""
