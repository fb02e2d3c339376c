#!/usr/bin/env python
"""Management commands of Django. Without DATABASE_URL or REDIS_URL they join the embedded servers of DATA_DIR, or start
them while the command runs."""

import os
import sys
from collections.abc import Sequence
from typing import Any

WITHOUT_SERVERS = frozenset(
    ("help", "version", "makemessages", "compilemessages", "collectstatic", "findstatic", "startapp", "diffsettings")
)


def needs_servers(arguments: Sequence[str]) -> bool:
    """Whether a command may use the database or Redis. Commands that only read code start no servers."""
    command, options = arguments[:1], arguments[1:]
    if not command or command[0].startswith("-") or command[0] in WITHOUT_SERVERS:
        return False
    if {"--help", "-h", "--version"} & set(options):
        return False
    return command[0] != "check" or "--database" in " ".join(options)


def migrate(servers: Any) -> None:
    """Run `migrate` as the owner of the tables, then grant the run role its privileges."""
    from django.core.management import execute_from_command_line

    from config import roles

    run_url = os.environ["DATABASE_URL"]
    os.environ["DATABASE_URL"] = roles.owner_url(servers)
    execute_from_command_line(sys.argv)
    if not {"--plan", "--check"} & set(sys.argv):
        roles.grant(run_url)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.management import execute_from_command_line

        from config.embedded.attach import embedded_where_missing
        from config.run.data_folder import EmbeddedError
        from config.run.environment import placeholders_where_missing
        from config.variables import StartError, read_dotenv
    except ImportError as fault:
        sys.exit(f"aval: {fault.name} is not installed for this Python: say `make run` once, then .venv/bin/python.")
    try:
        read_dotenv()
        start = embedded_where_missing if needs_servers(sys.argv[1:]) else placeholders_where_missing
        with start() as servers:
            if sys.argv[1:2] == ["migrate"] and start is embedded_where_missing:
                migrate(servers)
            else:
                execute_from_command_line(sys.argv)
    except (StartError, EmbeddedError) as fault:
        sys.exit(f"aval: {fault}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
