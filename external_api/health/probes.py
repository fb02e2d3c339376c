"""Probes of what a web process needs: its database, and the tables of its own version."""

from django.db import Error, connection

from clients.probes import Probe, select_one


def _is_migrated() -> bool:
    """Whether all migrations of this version are applied. Those of a newer one do not matter."""
    from django.db.migrations.loader import MigrationLoader  # here: it reads every migration, once in a process

    try:
        loader = MigrationLoader(connection)
        return all(node in loader.applied_migrations for node in loader.graph.leaf_nodes())
    except Error:
        return False
    finally:
        connection.close()  # it is needed until the answer is yes, and never again


database = Probe(select_one, "status")
schema = Probe(_is_migrated, "schema")
