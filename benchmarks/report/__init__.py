"""What shows figures: tables, pictures, the HTML report, Markdown and JUnit."""
