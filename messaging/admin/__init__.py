"""Pages of the admin for messages, campaigns and providers."""

from messaging.admin import campaigns as campaigns
from messaging.admin import messages as messages
from messaging.admin import providers as providers
from messaging.admin import suppressions as suppressions
