"""Complete installation with the run role: everything works, and the audit cannot be changed."""

import httpx
import psycopg
import pytest
from psycopg import errors

from config.run.processes import wait_until
from config.run.programs import MOST_CONNECTIONS
from testkit.stack import Stack, free_port

ACTS = """
from django.utils import timezone
from django.contrib.auth.models import User
from clients.models import Applicant, Partner
from external_api.client_import.jobs import apply
from external_api.client_import.spreadsheets import SheetRow
from support.cases.actions import Agent
from support.privacy import erasure, retention

partner = Partner.objects.get(pk={partner})
line = SheetRow(2, ["Juan Perez", "DNI", "12345678", "987654321", "C-1", "VIP", "importado@dominio.com"])
print(apply(partner, [line], at=timezone.now(), by="ana", address="192.0.2.1", file="x.csv").good)
row = Applicant.objects.get(pk="{client}")
user = User.objects.create_superuser("ana-{client}")
entry = erasure.erase(row, Agent(user.username, "lo pidio", timezone.now(), "192.0.2.1"))
print(entry.action)
for rule in retention.RULES:  # each raises here what the nightly job would only log
    rule.batch(at=timezone.now())
"""


@pytest.fixture(scope="module")
def partner(_running: Stack):
    return _running.new_partner("Rol De Uso")


def test_everything_runs_as_the_run_role(stack: Stack, partner) -> None:
    users = "SELECT DISTINCT usename FROM pg_stat_activity WHERE starts_with(application_name, 'aval')"
    assert stack.sql(users) == [("aval_run",)]

    asked = stack.asked()  # web and worker
    assert stack.verify(asked.client, stack.code_soon(asked.phone)).status_code == 200

    named = "starts_with(application_name, 'aval-')"
    count = f"SELECT application_name, count(*) FROM pg_stat_activity WHERE {named} GROUP BY 1"
    counted = {name.removeprefix("aval-"): number for name, number in stack.sql(count)}
    assert counted.keys() >= {"web", "worker", "periodic"}  # each program's connections can be told apart
    assert all(number <= MOST_CONNECTIONS[name]() for name, number in counted.items()), counted

    rows = [{"codigo_externo": "C", "perfil": "V", "correo": f"u{number}@dominio.com"} for number in range(20)]
    assert stack.call_nopasanada(partner, "alta", clientes=rows)["cuenta_exitos"] == 20
    assert stack.call_nopasanada(partner, "clientes_autorizados")["cuenta"] == 20  # the export

    stack.sql("UPDATE clients_authorizedclient SET subscribed_at = now() WHERE partner_id = %s", partner.id)
    bulk = stack.program("bulk")
    bulk.start()
    try:
        campaign = stack.bulletin(partner)
        sent = "SELECT count(*) FROM messaging_message WHERE campaign_id = %s AND state = 'SENT'"
        assert wait_until(lambda: stack.sql(sent, campaign) == [(20,)], 60)
        over = "SELECT state NOT IN ('SCHEDULED', 'SENDING', 'PAUSED') FROM messaging_campaign WHERE id = %s"
        assert wait_until(lambda: stack.sql(over, campaign) == [(True,)], 60)
    finally:
        bulk.kill()

    stack.sql(
        "UPDATE messaging_message SET created_at = now() - interval '2 years', sent_at = now() - interval '2 years'"
        " WHERE campaign_id = %s",
        campaign,
    )
    stack.command("manage", "forget")  # retention
    kept = "SELECT count(*) FROM messaging_message WHERE campaign_id = %s AND recipient <> ''"
    assert stack.sql(kept, campaign) == [(0,)]

    client = stack.register()
    said = stack.command("manage", "shell", "--no-imports", "-c", ACTS.format(partner=partner.id, client=client))
    assert said.split() == ["1", "person.erased"]  # import, erasure


def test_it_does_with_the_settings_of_a_transaction_pooler(stack: Stack, partner) -> None:
    port = free_port()
    pooled = {"DB_TRANSACTION_POOLER": "true", "WEB_WORKERS": "1", "PORT": str(port)}
    stack.command("config.run", "migrate", MIGRATE_DATABASE_URL=stack.servers.owner_url, DB_TRANSACTION_POOLER="true")
    web = stack.program("web", "web-pooled", **pooled)
    web.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
            assert wait_until(lambda: answers(http), 60)
            body = {"token": partner.token, "usuario": "MAQ-001"}
            rows = [{"codigo_externo": "C", "perfil": "V", "correo": "pooler@dominio.com"}]
            assert http.post("/api/v1", json={**body, "solicitud": "alta", "clientes": rows}).status_code == 200
            listed = http.post("/api/v1", json={**body, "solicitud": "clientes_autorizados", "clientes": rows})
            assert listed.json()["resultados"]["cuenta"] == 1
    finally:
        web.kill()


def answers(http: httpx.Client) -> bool:
    try:
        return http.get("/v1/api/status").status_code == 200
    except httpx.TransportError:
        return False


FORBIDDEN = [
    "TRUNCATE clients_auditentry",
    "TRUNCATE messaging_message CASCADE",
    "ALTER TABLE clients_auditentry DISABLE TRIGGER audit_is_append_only",
    "ALTER TABLE clients_auditentry DISABLE TRIGGER ALL",
    "DROP TRIGGER audit_is_append_only ON clients_auditentry",
    "CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE sql AS ''",
    "DROP TABLE clients_auditentry",
    "DROP TABLE messaging_message",
    "ALTER TABLE clients_auditentry OWNER TO aval_run",
    "SET session_replication_role = replica",
    "SET LOCAL session_replication_role = replica",
    "DELETE FROM clients_auditentry",
    "UPDATE clients_auditentry SET actor = 'nadie'",
    "UPDATE subscription_consentrecord SET email = ''",
    "DELETE FROM django_migrations",
    "SET ROLE aval_owner",
    "CREATE RULE r AS ON INSERT TO clients_auditentry DO INSTEAD NOTHING",
    "CREATE TRIGGER t BEFORE INSERT ON clients_auditentry FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()",
]


@pytest.mark.parametrize("words", FORBIDDEN)
def test_the_run_role_cannot_undo_what_is_kept(stack: Stack, words: str) -> None:
    with psycopg.connect(stack.servers.database_url, autocommit=True) as run:
        refused = (errors.InsufficientPrivilege, errors.DuplicateObject, errors.InvalidFunctionDefinition)
        with pytest.raises(refused):
            run.execute(words)


def test_the_run_role_grants_itself_nothing(stack: Stack) -> None:
    with psycopg.connect(stack.servers.database_url, autocommit=True) as run:
        run.execute("GRANT ALL ON clients_auditentry TO aval_run")  # PostgreSQL only warns of it
        with pytest.raises(errors.InsufficientPrivilege):
            run.execute("DELETE FROM clients_auditentry")


def test_of_the_audit_only_the_redaction_passes(stack: Stack, partner) -> None:
    with psycopg.connect(stack.servers.database_url) as run:
        run.execute(
            "INSERT INTO clients_auditentry (at, actor, action, object_type, object_id, reason, data)"
            " VALUES (now(), 'ana', 'x', 'x', '1', '', '{\"a\": \"b\"}')"
        )
        with pytest.raises(errors.RaiseException, match="append-only"), run.transaction():
            run.execute("UPDATE clients_auditentry SET data = '{}' WHERE action = 'x'")
        run.execute("SET LOCAL aval.redacting = 'on'")
        with pytest.raises(errors.RaiseException, match="append-only"), run.transaction():
            run.execute("UPDATE clients_auditentry SET data = '{\"a\": \"c\"}' WHERE action = 'x'")
        run.execute("UPDATE clients_auditentry SET data = '{\"a\": \"[borrado]\"}' WHERE action = 'x'")
        run.rollback()


def test_the_commands_for_keys_and_restores_run_as_the_run_role(stack: Stack) -> None:
    assert "No former key is needed" in stack.command("manage", "reseal")
    assert "events renumbered" in stack.command("manage", "after_restore", "--force")
    ((done,),) = stack.sql("SELECT count(*) FROM clients_auditentry WHERE action = 'database.restored'")
    assert done == 1


def test_the_dispatcher_stands_an_open_transaction_of_another_role_and_names_it(stack: Stack) -> None:
    dispatcher = stack.program("webhooks", log="webhooks-run-role")
    with stack.database(autocommit=False) as owner:
        owner.execute("SELECT pg_current_xact_id()")
        dispatcher.start()
        try:
            held = "holds the feed of events up"
            assert wait_until(lambda: dispatcher.log.exists() and held in dispatcher.log.read_text(), 40)
            assert f'"pid": {owner.info.backend_pid}' in dispatcher.log.read_text()
            assert dispatcher.is_running()
        finally:
            dispatcher.kill()
