"""Failed logins by name, and the addresses that a name has logged in from."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("clients", "0007_forgetting")]

    operations = [
        migrations.CreateModel(
            name="LoginAddress",
            fields=[
                ("key", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("last_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="LoginFailures",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("day_began_at", models.DateTimeField()),
                ("today", models.PositiveIntegerField()),
                ("in_a_row", models.PositiveIntegerField()),
                ("last_at", models.DateTimeField()),
            ],
        ),
    ]
