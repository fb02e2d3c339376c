import secrets
import string
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from clients.models import Partner
from clients.partners import NewPartner, create_partner

WELCOME = """
Admin         {url}/admin/     user {user}     password {password}
Demo partner  token {token}
              jwt   {jwt}
Outbox        {url}/sandbox/messages   (what the sandbox gateways delivered)

These are shown once. The partners' guide (docs/guia) calls them so:

export URL={url} TOKEN={token} JWT={jwt}

Try contract 1 (NoPasaNadaPE), authorise a client:

curl -s {url}/api/v1 -H 'Content-Type: application/json' -H 'Authorization: Bearer {token}' -d '{{
  "solicitud": "alta", "usuario": "MAQ-001", "clientes": [{{
    "nombre": "Juan Pérez", "tipo_documento": "DNI", "numero_documento": "12345678", "celular": "987654321",
    "codigo_externo": "CLI-001", "perfil": "VIP3", "correo": "juan.perez@dominio.com"}}]}}'

Try contract 2 (InformaPerú), register a client:

curl -s {url}/v1/api/client -H 'Content-Type: application/json' -d '{{
  "tipo_documento": "DNI", "documento": "12345678", "digito_verificador": "9",
  "nombres": "Juan", "apellido_paterno": "Perez", "apellido_materno": "Gomez",
  "correo": "juan.perez@example.com",
  "departamento": "LIMA", "provincia": "LIMA", "distrito": "MIRAFLORES"}}'

Try contract 3 (external registry), register a client of yours under your own id:

curl -s {url}/external/client/registry -H 'Content-Type: application/json' -H 'Authorization: Bearer {jwt}' -d '{{
  "cui": "2380033370713", "first_name": "Juan", "last_name": "Pérez", "phone": "555-1234",
  "product_key": "ABC123", "product_id": "98765", "origin": "website", "client_id": "CL123456",
  "data_points": [{{"key": "name", "value": "Juan"}}]}}'
"""


class Command(BaseCommand):
    help = "On an empty database: an admin user, a demo partner and how to call each contract. Otherwise nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model().objects
        with transaction.atomic():
            if users.filter(is_superuser=True).exists():
                return
            password = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(16))
            users.create_superuser("admin", password=password)
            demo = self._demo_partner()
        self.stdout.write(
            WELCOME.format(url=settings.PUBLIC_URL, user="admin", password=password, token=demo.token, jwt=demo.jwt)
        )

    def _demo_partner(self) -> NewPartner:
        taken = Partner.objects.filter(slug="demo").exists()
        slug = f"demo-{secrets.token_hex(2)}" if taken else "demo"
        return create_partner("Demo", slug=slug, at=timezone.now(), by="bootstrap_demo")
