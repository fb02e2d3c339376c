"""What granian's workers load: the WSGI application, in a process that ends when it should.

Until granian has set a worker's own signal handlers, which is after this import, the worker has inherited those of the
main process, and a SIGTERM would be lost. And a killed main process would leave workers that serve its port for ever.
"""

import signal

from config.processes import ask_for_death_signal

signal.signal(signal.SIGTERM, signal.SIG_DFL)
ask_for_death_signal(signal.SIGTERM)

from config.wsgi import application  # noqa: E402 (it takes a second, in which both must hold already)

__all__ = ["application"]
