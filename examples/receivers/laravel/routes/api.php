<?php

use App\Http\Controllers\ReelwayWebhookController;
use Illuminate\Support\Facades\Route;

// Laravel puts `/api` before it, and asks for no CSRF token here.
Route::post('/webhooks/reelway', ReelwayWebhookController::class);
