<?php

namespace App\Support;

/** Whether a webhook comes from somebody who knows the secret (Standard Webhooks 1.0). */
final class WebhookSignature
{
    private const TOLERANCE_SECS = 300;

    /** Takes the raw bytes of the body, before any JSON is parsed. */
    public static function holds(
        string $secret,
        ?string $id,
        ?string $timestamp,
        ?string $signatures,
        string $body,
    ): bool {
        if (! $id || ! $signatures || ! preg_match('/\A[0-9]{1,12}\z/', $timestamp ?? '')) {
            return false;
        }
        if (abs(time() - (int) $timestamp) > self::TOLERANCE_SECS) {
            return false;
        }

        $mac = hash_hmac('sha256', "{$id}.{$timestamp}.{$body}", self::key($secret), true);
        $expected = 'v1,'.base64_encode($mac);
        // There are several while the secret is being replaced; other versions match nothing.
        foreach (explode(' ', $signatures) as $given) {
            if (hash_equals($expected, $given)) {
                return true;
            }
        }

        return false;
    }

    private static function key(string $secret): string
    {
        return str_starts_with($secret, 'whsec_') ? base64_decode(substr($secret, 6)) : $secret;
    }
}
