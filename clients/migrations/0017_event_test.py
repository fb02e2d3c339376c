"""Whether an event is of a test twin follows from its partner; the column that always said no goes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("clients", "0016_test_twins")]

    operations = [migrations.RemoveField(model_name="partnerevent", name="test")]
