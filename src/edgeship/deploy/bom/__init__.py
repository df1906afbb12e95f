"""A bundle's bill of materials: its models, data, figures and tools as a CycloneDX ML-BOM."""
