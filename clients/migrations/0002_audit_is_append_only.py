from django.db import migrations


class Migration(migrations.Migration):
    """What staff did cannot be rewritten, not even by our own code (TRUNCATE and a DBA's hand excepted)."""

    dependencies = [("clients", "0001_initial")]

    operations = [
        migrations.RunSQL(
            """
            CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'clients_auditentry is append-only';
            END $$;
            CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON clients_auditentry
                FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
            """,
            """
            DROP TRIGGER audit_is_append_only ON clients_auditentry;
            DROP FUNCTION audit_is_append_only();
            """,
        )
    ]
