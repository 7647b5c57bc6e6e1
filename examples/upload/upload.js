// Sends a file to Reelway and makes a job of it. A connection that breaks, or a server that is
// restarted, costs nothing: the upload goes on where it ended.
//
//   REELWAY_URL=http://127.0.0.1:3000 REELWAY_API_KEY=… node upload.js clip.mp4

import { createReadStream, statSync } from 'node:fs';
import { basename } from 'node:path';
import * as tus from 'tus-js-client';

const server = process.env.REELWAY_URL ?? 'http://127.0.0.1:3000';
const headers = process.env.REELWAY_API_KEY
  ? { authorization: `Bearer ${process.env.REELWAY_API_KEY}` }
  : {};

/** The file's URL at the server. It is the `input` of jobs, for the same API key alone. */
function upload(path) {
  return new Promise((resolve, reject) => {
    const upload = new tus.Upload(createReadStream(path), {
      endpoint: `${server}/uploads/`,
      headers,
      metadata: { filename: basename(path) },
      uploadSize: statSync(path).size,
      // A stream is kept in memory up to here, to send again what got lost.
      chunkSize: 16 << 20,
      retryDelays: [500, 1000, 2000, 4000, 8000, 16000],
      onProgress: (sent, all) => console.error(`${Math.floor((sent / all) * 100)} %`),
      onError: reject,
      onSuccess: () => resolve(upload.url),
    });
    upload.start();
  });
}

async function submit(input) {
  const answer = await fetch(`${server}/jobs`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ input, kind: 'image', options: { width: 320 } }),
  });
  const job = await answer.json();
  if (!answer.ok) throw new Error(`${job.message} (${job.hint})`);
  return job;
}

const url = await upload(process.argv[2]);
const job = await submit(url);
console.log(JSON.stringify({ url, job: job.id }));
