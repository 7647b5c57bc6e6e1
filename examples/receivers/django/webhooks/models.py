from django.db import models


class WebhookEvent(models.Model):
    """An event as it came; the primary key lets it in once."""

    id = models.CharField(primary_key=True, max_length=255)
    body = models.JSONField()
    received_at = models.DateTimeField(auto_now_add=True)
    handled_at = models.DateTimeField(null=True)
