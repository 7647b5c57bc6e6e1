from django.urls import path

from webhooks.views import reelway

urlpatterns = [path("webhooks/reelway", reelway)]
