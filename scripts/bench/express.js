// What people write first: an Express route that notes a job down in PostgreSQL.
//
// It checks less than Reelway's `POST /jobs` and writes one row where Reelway writes a job, its task
// and its turn in the queue.
import { randomUUID } from 'node:crypto';

import express from 'express';
import pg from 'pg';

const db = new pg.Pool({ connectionString: process.env.DATABASE_URL });
await db.query(`
  create table media_jobs (
    id uuid primary key,
    input_url text not null,
    kind text not null,
    options jsonb not null,
    status text not null,
    created_at timestamptz not null default now()
  )
`);

const app = express();

app.post('/jobs', express.json(), async (request, response) => {
  const { input, kind, options = {} } = request.body ?? {};
  if (typeof input !== 'string' || typeof kind !== 'string') {
    return response.status(400).json({ error: '`input` and `kind` are needed' });
  }
  const inserted = await db.query(
    `insert into media_jobs (id, input_url, kind, options, status)
     values ($1, $2, $3, $4, 'queued') returning id, status, created_at`,
    [randomUUID(), input, kind, options],
  );
  response.status(201).json(inserted.rows[0]);
});

const server = app.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` }));
});
process.on('SIGTERM', () => process.exit(0));
