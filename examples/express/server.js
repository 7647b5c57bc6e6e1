// A media pipeline on Express and PostgreSQL, as it is written for the Ittybit API.
//
// `POST /process` submits three jobs and notes them down, `POST /webhooks/ittybit` hears how they
// ended, `GET /jobs/:taskId` tells it. ITTYBIT_API_URL decides who does the work.
import express from 'express';
import pg from 'pg';

import { isSigned } from './signature.js';

const {
  DATABASE_URL,
  ITTYBIT_API_KEY,
  ITTYBIT_API_URL = 'https://api.ittybit.com',
  ITTYBIT_WEBHOOK_SECRET,
  PORT = 8080,
  PUBLIC_URL = `http://127.0.0.1:${PORT}`,
} = process.env;

if (!DATABASE_URL || !ITTYBIT_API_KEY || !ITTYBIT_WEBHOOK_SECRET) {
  console.error('set DATABASE_URL, ITTYBIT_API_KEY and ITTYBIT_WEBHOOK_SECRET');
  process.exit(1);
}

const TASKS = [
  { kind: 'video', options: { format: 'mp4', width: 1920, quality: 'high' } },
  { kind: 'image', options: { format: 'webp', width: 640, start: 2 } },
  { kind: 'video', options: { format: 'mp4', width: 480, quality: 'low' } },
];

const db = new pg.Pool({ connectionString: DATABASE_URL });
const app = express();

app.post('/process', express.json(), async (request, response) => {
  const url = request.body?.url;
  if (typeof url !== 'string') {
    return response.status(400).json({ error: 'url is missing' });
  }
  const taskIds = [];
  for (const task of TASKS) {
    const job = await submit(url, task);
    // The webhook may have been quicker: then there is a row already.
    await db.query(
      `insert into media_jobs (task_id, input_url, status) values ($1, $2, 'processing')
       on conflict (task_id) do update set input_url = excluded.input_url`,
      [job.id, url],
    );
    taskIds.push(job.id);
  }
  response.json({ task_ids: taskIds, status: 'processing' });
});

async function submit(url, task) {
  const answer = await fetch(`${ITTYBIT_API_URL}/jobs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ITTYBIT_API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ input: url, ...task, webhook_url: `${PUBLIC_URL}/webhooks/ittybit` }),
  });
  if (!answer.ok) {
    throw new Error(`POST /jobs: ${answer.status} ${await answer.text()}`);
  }
  return answer.json();
}

// The signature is over the bytes as they came: no JSON parser may touch them first.
const rawBody = express.raw({ type: () => true, limit: '1mb' });

app.post('/webhooks/ittybit', rawBody, async (request, response) => {
  if (!isSigned(ITTYBIT_WEBHOOK_SECRET, request.headers, request.body)) {
    return response.status(401).json({ error: 'the signature does not hold' });
  }
  const job = JSON.parse(request.body);
  // To hear the same end twice changes nothing, so no id has to be kept.
  await db.query(
    `insert into media_jobs (task_id, input_url, status, output_url, completed_at)
     values ($1, $2, $3, $4, now())
     on conflict (task_id) do update set
       status = excluded.status,
       output_url = excluded.output_url,
       completed_at = coalesce(media_jobs.completed_at, excluded.completed_at)`,
    [job.id, job.input, job.status, job.output?.url ?? job.output_url ?? null],
  );
  response.json({ received: true });
});

app.get('/jobs/:taskId', async (request, response) => {
  const { rows } = await db.query('select * from media_jobs where task_id = $1', [
    request.params.taskId,
  ]);
  if (rows.length === 0) {
    return response.status(404).json({ error: 'there is no such job' });
  }
  response.json(rows[0]);
});

app.use((error, request, response, next) => {
  console.error(error);
  if (response.headersSent) return next(error);
  response.status(error.status ?? 502).json({ error: 'that did not work; the log says why' });
});

const server = app.listen(PORT, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
