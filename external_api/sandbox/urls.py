from django.urls import path

from external_api.sandbox.views import messages

urlpatterns = [path("messages", messages), path("messages/", messages)]
