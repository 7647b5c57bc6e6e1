"""Takes Reelway's webhooks: checks who sent them, keeps each event once, answers at once."""

import json

from django.conf import settings
from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from .models import WebhookEvent
from .signature import is_signed


@csrf_exempt
@require_POST
def reelway(request):
    if not is_signed(settings.REELWAY_WEBHOOK_SECRET, request.headers, request.body):
        return HttpResponse("the signature does not hold", status=401)
    # The same event may come twice, even at once; only one of them creates the row.
    _, is_new = WebhookEvent.objects.get_or_create(
        id=request.headers["webhook-id"],
        defaults={"body": json.loads(request.body)},
    )
    # What follows from it is done by whoever reads the rows that nobody has handled.
    return HttpResponse("stored" if is_new else "seen before")
