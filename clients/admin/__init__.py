"""Pages of the admin for partners, their keys and external clients, and what every app's pages are built from."""

from clients.admin import external_clients as external_clients
from clients.admin import partners as partners
