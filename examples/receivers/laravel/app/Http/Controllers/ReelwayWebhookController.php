<?php

namespace App\Http\Controllers;

use App\Support\WebhookSignature;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Illuminate\Support\Facades\DB;

/** Takes Reelway's webhooks: checks who sent them, keeps each event once, answers at once. */
class ReelwayWebhookController extends Controller
{
    public function __invoke(Request $request): Response
    {
        $id = $request->header('webhook-id');
        $body = $request->getContent();
        $isSigned = WebhookSignature::holds(
            config('services.reelway.webhook_secret'),
            $id,
            $request->header('webhook-timestamp'),
            $request->header('webhook-signature'),
            $body,
        );
        if (! $isSigned) {
            return response('the signature does not hold', 401);
        }

        // The same event may come twice; the primary key lets it in once.
        $stored = DB::table('webhook_events')->insertOrIgnore([
            'id' => $id,
            'body' => $body,
            'received_at' => now(),
        ]);

        // What follows from it is done by whoever reads the rows that nobody has handled.
        return response($stored === 1 ? 'stored' : 'seen before');
    }
}
