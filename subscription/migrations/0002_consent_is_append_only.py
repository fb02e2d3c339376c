from django.db import migrations


class Migration(migrations.Migration):
    """Evidence cannot be rewritten, not even by our own code (TRUNCATE and a DBA's hand excepted)."""

    dependencies = [("subscription", "0001_initial")]

    operations = [
        migrations.RunSQL(
            """
            CREATE FUNCTION consent_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'subscription_consentrecord is append-only';
            END $$;
            CREATE TRIGGER consent_is_append_only BEFORE UPDATE OR DELETE ON subscription_consentrecord
                FOR EACH ROW EXECUTE FUNCTION consent_is_append_only();
            """,
            """
            DROP TRIGGER consent_is_append_only ON subscription_consentrecord;
            DROP FUNCTION consent_is_append_only();
            """,
        )
    ]
