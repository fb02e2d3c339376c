"""What granian's workers load: the WSGI application, in a process that does not outlive granian's main process.

A killed main process would otherwise leave workers that serve its port for ever.
"""

import signal

from config.processes import ask_for_death_signal
from config.wsgi import application

ask_for_death_signal(signal.SIGTERM)

__all__ = ["application"]
