"""Database roles: the owner of the tables, for migrations, and the run role, with data privileges only.

`DATABASE_URL` is the run role and `MIGRATE_DATABASE_URL` the owner. A migration ends by granting the run role what it
needs. An attacker who takes over the web server then has neither TRUNCATE nor ALTER, and the audit's triggers stay.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from config.run.environment import migrate_url
from config.run.supervisor import print_line
from config.variables import StartError

if TYPE_CHECKING:
    from config.embedded.stack import Servers

INSUFFICIENT_PRIVILEGE = "42501"

GRANTS = (
    "GRANT USAGE ON SCHEMA public TO {run}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {run}",
    "GRANT SELECT, USAGE ON ALL SEQUENCES IN SCHEMA public TO {run}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {run}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, USAGE ON SEQUENCES TO {run}",
)
RESTRICTED_TABLES = {
    "clients_auditentry": ("REVOKE UPDATE, DELETE ON {table} FROM {run}", "GRANT UPDATE (data) ON {table} TO {run}"),
    "subscription_consentrecord": ("REVOKE UPDATE ON {table} FROM {run}", "GRANT UPDATE (id) ON {table} TO {run}"),
    "django_migrations": ("REVOKE INSERT, UPDATE, DELETE ON {table} FROM {run}",),
}
"""Tables on which the run role may do less. In the audit it may only redact; consents it may only delete after their
retention period. Triggers check both. Locking a row before its deletion needs UPDATE on some column; the trigger
refuses every real update."""


def owner_url(servers: "Servers | None") -> str:
    """URL of the role that migrates."""
    return (servers.owner_url if servers else "") or migrate_url()


@contextmanager
def connected_as(url: str) -> Iterator[None]:
    """Switch Django's connection of this thread to another role."""
    from django.db import connection
    from environ import Env

    before = dict(connection.settings_dict)
    wanted = Env.db_url_config(url)
    connection.close()
    connection.settings_dict.update({name: wanted[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")})
    connection.settings_dict["OPTIONS"] = _options(before["OPTIONS"], wanted.get("OPTIONS", {}))
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.clear()
        connection.settings_dict.update(before)


def _options(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Connection options of `config.settings` with the address and TLS options of the other URL."""
    connection_options = ("host", "port", "sslmode", "sslcert", "sslkey", "sslrootcert", "service", "passfile")
    return {**{name: value for name, value in ours.items() if name not in connection_options}, **theirs}


def grant(run_url: str) -> None:
    """Grant the run role its privileges; Django is connected as the owner. Raises StartError.

    One transaction: the run role never has too many privileges in between.
    """
    from django.db import ProgrammingError, connection, transaction
    from environ import Env

    run = Env.db_url_config(run_url)
    with connection.cursor() as cursor:
        owner = _value(cursor, "SELECT current_user")
        if run["USER"] in ("", owner):
            print_line(
                "aval: MIGRATE_DATABASE_URL is not set, or has the same role as DATABASE_URL: Aval runs as the owner "
                "of its tables, who could empty the audit (docs/operator.md, Database roles)."
            )
            return
        try:
            with transaction.atomic():
                # concurrent grants would update the same catalog rows, which PostgreSQL refuses
                cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('aval:grant', 0))")
                _create_if_missing(cursor, run["USER"], run["PASSWORD"])
                for statement in _statements(cursor, run["USER"]):
                    cursor.execute(statement)
        except ProgrammingError as fault:
            if getattr(fault.__cause__, "sqlstate", "") != INSUFFICIENT_PRIVILEGE:
                raise
            raise StartError(
                f"The role {owner} of MIGRATE_DATABASE_URL may not do that: {str(fault).splitlines()[0]} "
                "(docs/operator.md, Database roles)."
            ) from None
        _warn_if_member_of_owner(cursor, run["USER"], owner)


def _create_if_missing(cursor: Any, role: str, password: str) -> None:
    """Needs CREATEROLE. The password is sent as a SCRAM verifier, so that no statement log holds it."""
    from django.db import connection

    if _value(cursor, "SELECT count(*) FROM pg_roles WHERE rolname = %s", [role]):
        return
    statement_text = f"CREATE ROLE {connection.ops.quote_name(role)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE"
    if password:
        verifier = connection.connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
        statement_text += f" PASSWORD '{verifier.decode('ascii')}'"
    cursor.execute(statement_text)
    print_line(f"aval: made the database role {role}.")


def _statements(cursor: Any, role: str) -> Iterator[str]:
    from django.db import connection

    quoted = connection.ops.quote_name(role)
    for statement in GRANTS:
        yield statement.format(run=quoted)
    for table, statements in RESTRICTED_TABLES.items():
        if _value(cursor, "SELECT to_regclass(%s)", [f"public.{table}"]):
            for statement in statements:
                yield statement.format(run=quoted, table=connection.ops.quote_name(table))


def _warn_if_member_of_owner(cursor: Any, run: str, owner: str) -> None:
    """Warn if the run role can become the owner."""
    can = "SELECT rolsuper OR pg_has_role(oid, %s, 'MEMBER') FROM pg_roles WHERE rolname = %s"
    if _value(cursor, can, [owner, run]):
        print_line(f"aval: the role {run} of DATABASE_URL is a superuser or a member of {owner}: take that from it.")


def _value(cursor: Any, sql: str, values: Any = None) -> Any:
    cursor.execute(sql, values)
    return cursor.fetchone()[0]
