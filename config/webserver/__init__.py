"""Web server: waitress with deadlines, limits per address and its own event loop.

waitress reads a whole request before a thread sees it, so that a slow caller holds a connection and no thread.
Subclasses add what it lacks: total times for header and body, a minimal rate for readers, limits on connections and on
buffered bodies (channel, server), and registration with the kernel's selector (selector).
"""
