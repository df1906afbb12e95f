"""What data is read of: tables, folders of pictures, arrays."""
