"""What staff and agents find people and audit entries by; each index has its reason where the model names it."""

import django.contrib.postgres.indexes
from django.db import migrations, models

import clients.search_terms


class Migration(migrations.Migration):
    dependencies = [("clients", "0005_external_client")]

    operations = [
        migrations.AddIndex(
            "applicant",
            django.contrib.postgres.indexes.GinIndex(
                clients.search_terms.Words(
                    "names", "paternal_surname", "maternal_surname", output_field=models.TextField()
                ),
                name="applicant_by_name",
            ),
        ),
        migrations.AddIndex("applicant", models.Index(models.F("document_number"), name="applicant_by_document")),
        migrations.RemoveIndex("authorizedclient", name="live_clients_by_email"),
        migrations.AddIndex("authorizedclient", models.Index(models.F("email"), name="clients_by_email")),
        migrations.AddIndex(
            "authorizedclient",
            django.contrib.postgres.indexes.BrinIndex(
                fields=["document_number", "phone", "external_code", "request_id"],
                opclasses=[*["text_bloom_ops(n_distinct_per_range=1200)"] * 3, "int8_minmax_ops"],
                name="clients_by_what_they_have",
                pages_per_range=16,
                autosummarize=True,
            ),
        ),
        *(
            migrations.AddIndex(
                "auditentry", models.Index(models.F(column), models.OrderBy(models.F("at"), descending=True), name=name)
            )
            for column, name in (
                ("actor", "audit_of_an_actor"),
                ("action", "audit_of_an_action"),
                ("object_id", "audit_of_an_id"),
                ("address", "audit_from_an_address"),
            )
        ),
    ]
