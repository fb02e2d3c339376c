"""The test twin of a partner (docs/adr/0098): a column of a small table, and triggers that keep a twin like its partner.

Nothing is rewritten: the column is null in the rows there are, and no other table is touched. Processes of the version
before neither read the column nor make twins.
"""

import django.db.models.deletion
from django.db import migrations, models

COPIES = """
CREATE FUNCTION clients_copy_to_twin() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    live clients_partner%ROWTYPE;
BEGIN
    SELECT * INTO STRICT live FROM clients_partner WHERE id = NEW.twin_of_id;
    IF live.twin_of_id IS NOT NULL THEN
        RAISE EXCEPTION 'a twin has no twin' USING ERRCODE = 'check_violation';
    END IF;
    NEW.name := left(live.name, 89) || ' (pruebas)';
    NEW.brand := live.brand;
    NEW.contracts := live.contracts;
    NEW.is_active := live.is_active;
    NEW.requests_per_minute := live.requests_per_minute;
    RETURN NEW;
END $$;
CREATE TRIGGER a_twin_is_as_its_partner BEFORE INSERT OR UPDATE ON clients_partner
    FOR EACH ROW WHEN (NEW.twin_of_id IS NOT NULL) EXECUTE FUNCTION clients_copy_to_twin();

CREATE FUNCTION clients_change_twin() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE clients_partner SET name = name WHERE twin_of_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER a_twin_follows_its_partner AFTER UPDATE ON clients_partner
    FOR EACH ROW WHEN (
        NEW.twin_of_id IS NULL
        AND (OLD.name, OLD.brand, OLD.contracts, OLD.is_active, OLD.requests_per_minute)
            IS DISTINCT FROM (NEW.name, NEW.brand, NEW.contracts, NEW.is_active, NEW.requests_per_minute)
    ) EXECUTE FUNCTION clients_change_twin();

CREATE FUNCTION clients_twin_is_for_ever() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a partner does not become a twin, and a twin no partner' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER a_twin_is_a_twin_for_ever BEFORE UPDATE ON clients_partner
    FOR EACH ROW WHEN (OLD.twin_of_id IS DISTINCT FROM NEW.twin_of_id) EXECUTE FUNCTION clients_twin_is_for_ever();
"""
DROP = """
DROP TRIGGER a_twin_is_a_twin_for_ever ON clients_partner;
DROP TRIGGER a_twin_follows_its_partner ON clients_partner;
DROP TRIGGER a_twin_is_as_its_partner ON clients_partner;
DROP FUNCTION clients_twin_is_for_ever();
DROP FUNCTION clients_change_twin();
DROP FUNCTION clients_copy_to_twin();
"""


class Migration(migrations.Migration):
    dependencies = [("clients", "0015_origin_of_the_epoch")]

    operations = [
        migrations.AddField(
            model_name="partner",
            name="twin_of",
            field=models.OneToOneField(
                blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT,
                related_name="twin", to="clients.partner",
            ),
        ),
        migrations.AddConstraint(
            model_name="partner",
            constraint=models.CheckConstraint(
                condition=models.Q(("twin_of", models.F("id")), _negated=True), name="a_twin_is_of_another_partner"
            ),
        ),
        migrations.RunSQL(COPIES, DROP),
    ]  # fmt: skip
