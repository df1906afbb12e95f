"""The registry: versions of bundles under a name, what their manifests know of them, and which of them is out there."""
