"""Roles of the embedded PostgreSQL: the owner of the tables, and the role that Aval runs as.

The superuser (`aval`, made by initdb) cannot log in. Statements that need it run in single-user mode, which only the
process that owns the server can start. The other roles log in by SCRAM, with passwords that are generated once and
stored in the data folder.
"""

from pathlib import Path
from urllib.parse import quote

from config.run.data_folder import stored_secret

OWNER = "aval_owner"
RUN = "aval_run"
FILES = {OWNER: "owner_password", RUN: "run_password"}

HBA = f"""\
# Written by Aval (config/embedded_roles.py). The superuser does not log in.
local all {OWNER} scram-sha-256
local aval {RUN} scram-sha-256
"""
"""Byte for byte as in 0.1: processes of both versions compare it, to see whether the server has these roles."""

_ROLES = """
DO $$ DECLARE wanted text; BEGIN
    FOREACH wanted IN ARRAY ARRAY['{owner}', '{run}'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I', wanted);
        END IF;
    END LOOP;
END $$;
ALTER ROLE {owner} LOGIN NOSUPERUSER NOCREATEROLE CREATEDB NOREPLICATION NOBYPASSRLS PASSWORD '{owner_password}';
ALTER ROLE {run} LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS PASSWORD '{run_password}';
GRANT {run} TO {owner};
GRANT SET ON PARAMETER session_replication_role, log_statement TO {owner};
GRANT pg_checkpoint TO {owner};
"""
"""The owner is a member of the run role and so may see and end its sessions; never the other way round. The
parameters and the checkpoint are for benchmarks, which load many rows and count statements."""

_OWNERSHIP = """
DO $$ DECLARE words text; BEGIN
    FOR words IN
        SELECT format('ALTER DATABASE %I OWNER TO {owner}', datname)
        FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'
        UNION ALL
        SELECT format('ALTER %s %s OWNER TO {owner}', CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW'
               WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, oid::regclass)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
          AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
                          AND deptype IN ('a', 'i', 'e'))
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO {owner}', oid::regprocedure)
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace
          AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid
                          AND deptype = 'e')
    LOOP
        EXECUTE words;
    END LOOP;
END $$;
REVOKE ALL ON DATABASE aval FROM PUBLIC;
GRANT CONNECT ON DATABASE aval TO {run};
"""
"""Objects of an older version belong to the superuser, whom REASSIGN OWNED refuses: each is altered by itself."""


def statements(data: Path) -> str:
    """SQL of the roles and their ownership for single-user mode, one statement a line. It may be repeated."""
    passwords = {
        f"{name}_password": stored_secret(data, FILES[role]) for name, role in (("owner", OWNER), ("run", RUN))
    }
    text = (_ROLES + _OWNERSHIP).format(owner=OWNER, run=RUN, **passwords)
    return "".join(" ".join(each.split()) + ";\n" for each in _split(text))


def _split(text: str) -> list[str]:
    """Split at each semicolon that ends an unindented line; those inside DO blocks are indented."""
    found, lines = [], list[str]()
    for line in text.splitlines():
        lines.append(line)
        if line.endswith(";") and not line.startswith(" "):
            found.append("\n".join(lines).removesuffix(";"))
            lines.clear()
    return found


def are_set_up(data: Path, folder: Path) -> bool:
    """Whether this data folder has the roles. Older ones let every local user in as the superuser."""
    hba = folder / "pg_hba.conf"
    return all((data / name).is_file() for name in FILES.values()) and hba.is_file() and hba.read_text() == HBA


def url(role: str, data: Path, sockets: Path) -> str:
    """URL of a role. The port, which names the socket, is explicit: libpq would take it from PGPORT."""
    password = stored_secret(data, FILES[role])
    return f"postgres://{role}:{password}@/aval?host={quote(str(sockets), safe='')}&port=5432"
