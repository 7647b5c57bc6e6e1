// Serves a Next.js route handler, which is a function from Request to Response, by itself.
import { createServer } from 'node:http';

import { POST } from './route.js';

async function answer(incoming, outgoing) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const request = new Request(`http://127.0.0.1${incoming.url}`, {
    method: incoming.method,
    headers: incoming.headers,
    body: Buffer.concat(chunks),
  });
  const response = await POST(request);
  outgoing.writeHead(response.status).end(await response.text());
}

createServer(answer).listen(process.env.PORT, '127.0.0.1');
