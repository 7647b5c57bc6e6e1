// Takes Reelway's webhooks: checks who sent them, keeps each event once, answers at once.
import pg from 'pg';
import { Webhook } from 'standardwebhooks';

// The edge runtime opens no connection to a database.
export const runtime = 'nodejs';

const db = new pg.Pool({ connectionString: process.env.DATABASE_URL });

export async function POST(request) {
  // The signature is over the bytes as they came: `request.json()` would lose them.
  const body = Buffer.from(await request.arrayBuffer());
  const webhook = new Webhook(process.env.REELWAY_WEBHOOK_SECRET);
  try {
    // All three headers, at most five minutes old or early, any of the signatures.
    webhook.verify(body, Object.fromEntries(request.headers));
  } catch {
    return new Response('the signature does not hold', { status: 401 });
  }
  // The same event may come twice; the primary key lets it in once.
  const { rowCount } = await db.query(
    'insert into webhook_events (id, body) values ($1, $2) on conflict (id) do nothing',
    [request.headers.get('webhook-id'), body.toString()],
  );
  // What follows from it is done by whoever reads the rows that nobody has handled.
  return new Response(rowCount === 1 ? 'stored' : 'seen before');
}
