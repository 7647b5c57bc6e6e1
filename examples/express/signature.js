// Whether a webhook comes from somebody who knows the secret.
import { createHmac, timingSafeEqual } from 'node:crypto';

import { Webhook } from 'standardwebhooks';

// Judges by Standard Webhooks where its headers are, and by `Ittybit-Signature` where none is.
export function isSigned(secret, headers, body) {
  if (!Buffer.isBuffer(body)) return false;
  const isStandard = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].some(
    (name) => name in headers,
  );
  return isStandard ? holdsStandard(secret, headers, body) : holdsIttybit(secret, headers, body);
}

function holdsStandard(secret, headers, body) {
  // A secret that does not begin with `whsec_` is taken as it stands.
  const format = secret.startsWith('whsec_') ? undefined : 'raw';
  try {
    new Webhook(secret, { format }).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

// It covers the body and no time: whoever has seen such a webhook can send it again.
function holdsIttybit(secret, headers, body) {
  const expected = createHmac('sha256', secret).update(body).digest();
  const given = Buffer.from(headers['ittybit-signature'] ?? '', 'hex');
  return given.length === expected.length && timingSafeEqual(given, expected);
}
