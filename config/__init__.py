"""Project package: settings, URLs, the Celery application, the web server and the embedded servers.

It imports nothing: `config.run health` runs every few seconds for each process, and Celery takes longer to load than
all that it does. The settings load the Celery application, so that it is the one of every process with Django.
"""
