// Takes Reelway's webhooks: checks who sent them, keeps each event once, answers at once.
import express from 'express';
import pg from 'pg';
import { Webhook } from 'standardwebhooks';

const { DATABASE_URL, REELWAY_WEBHOOK_SECRET, PORT = 8080 } = process.env;

const webhook = new Webhook(REELWAY_WEBHOOK_SECRET);
const db = new pg.Pool({ connectionString: DATABASE_URL });

await db.query(`
  create table if not exists webhook_events (
    id text primary key,
    body jsonb not null,
    received_at timestamptz not null default now(),
    handled_at timestamptz
  )`);

// The signature is over the bytes as they came: no JSON parser may touch them first.
const rawBody = express.raw({ type: () => true, limit: '1mb' });

const app = express();

app.post('/webhooks/reelway', rawBody, async (request, response) => {
  try {
    // All three headers, at most five minutes old or early, any of the signatures.
    webhook.verify(request.body, request.headers);
  } catch {
    return response.status(401).send('the signature does not hold');
  }
  // The same event may come twice; the primary key lets it in once.
  const { rowCount } = await db.query(
    'insert into webhook_events (id, body) values ($1, $2) on conflict (id) do nothing',
    [request.get('webhook-id'), request.body.toString()],
  );
  // What follows from it is done by whoever reads the rows that nobody has handled.
  response.send(rowCount === 1 ? 'stored' : 'seen before');
});

app.listen(PORT, '127.0.0.1');
