"""OpenAPI document of the three contracts, and the page that shows it. It reads the contracts; they do not know it."""
