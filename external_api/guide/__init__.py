"""Partners' guide as pages: the Markdown of docs/guia, rendered on this server."""
