"""Where reports of clients are kept, each once: by a server that collects them, or from files."""
