"""Routes of the public pages, each also without its last slash, which mail programs and people leave out."""

from django.urls import path

from subscription.views import ask, ask_to_manage, confirm, manage, unsubscribe

urlpatterns = [
    path("", ask),
    path("/", ask, name="subscription_ask"),
    path("/confirmar/<str:token>", confirm),
    path("/confirmar/<str:token>/", confirm, name="subscription_confirm"),
    path("/mis-suscripciones", ask_to_manage),
    path("/mis-suscripciones/", ask_to_manage, name="subscription_ask_to_manage"),
    path("/mis-suscripciones/<str:token>", manage),
    path("/mis-suscripciones/<str:token>/", manage, name="subscription_manage"),
    path("/baja/<str:token>", unsubscribe),
    path("/baja/<str:token>/", unsubscribe, name="subscription_unsubscribe"),
]
