"""The web server: waitress, with deadlines, limits per address and a loop of our own.

waitress reads a whole request before a thread sees it, so that a slow caller holds a connection and no thread. What it
lacks is added by subclassing: total times for header and body, a least pace for readers, limits on connections and on
buffered bodies (channel, server), and a selector that is told what changes (selector).
"""
